# SPDX-License-Identifier: Apache-2.0
# completion.bash FIPCCTL: for each line of standard input print what is offered for its last word.
PATH=${1%/*}:$PATH
# shellcheck source=../fipcctl/completion.bash
. "${0%/*}/../fipcctl/completion.bash"
while IFS= read -r line; do
	# bash makes a word of its own of "=", too.
	read -ra COMP_WORDS <<<"${line//=/ = }"
	[[ $line == *[\ =] ]] && COMP_WORDS+=("")
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	_fipcctl fipcctl "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
	echo "${COMPREPLY[*]}"
done
