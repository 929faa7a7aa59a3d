# SPDX-License-Identifier: Apache-2.0
# docs/caveats.md as the page fipc-caveats(7): headings, paragraphs, lists, *emphasis*, **strong**, `code`, [links](of).
function words(text, mark, font,    start, end, n, out)
{
	n = length(mark)
	out = ""
	while ((start = index(text, mark)) > 0 && (end = index(substr(text, start + n), mark)) > 0) {
		out = out substr(text, 1, start - 1) font substr(text, start + n, end - 1) "\\fP"
		text = substr(text, start + 2 * n + end - 1)
	}
	return out text
}

function escaped(text)
{
	gsub(/\\/, "\\e", text)
	while (match(text, /\[[^]]*\]\([^)]*\)/)) {
		link = substr(text, RSTART + 1, RLENGTH - 2)
		sub(/\].*/, "", link)
		text = substr(text, 1, RSTART - 1) link substr(text, RSTART + RLENGTH)
	}
	text = words(text, "**", "\\fB")
	text = words(text, "*", "\\fI")
	text = words(text, "`", "\\fB")
	gsub(/[.] +/, ".\n", text)
	gsub(/'/, "\\(aq", text)
	return text
}

# A paragraph, or what follows a bullet, is over.
function flush()
{
	if (text == "")
		return
	if (pending != "")
		print pending
	print escaped(text)
	text = ""
	pending = ".Pp"
}

function end_list()
{
	if (!list)
		return
	print ".El"
	list = 0
}

BEGIN {
	print ".\\\" SPDX-License-Identifier: Apache-2.0"
	print ".\\\" Made from docs/caveats.md."
	print ".Dd November 21, 2026\n.Dt FIPC-CAVEATS 7\n.Os\n.Sh NAME\n.Nm fipc-caveats"
	print ".Nd what a program that shares memory and locks between processes has to know\n.Sh DESCRIPTION"
}
/^# / { next }
/^## / {
	flush()
	end_list()
	print ".Ss " escaped(substr($0, 4))
	pending = ""
	next
}
/^- / {
	flush()
	if (!list)
		print ".Bl -bullet"
	list = 1
	pending = ".It"
	text = substr($0, 3)
	next
}
/^$/ { flush(); next }
{
	if (text == "" && !/^ /)
		end_list()
	sub(/^ +/, "")
	text = text == "" ? $0 : text "\n" $0
}
END {
	flush()
	end_list()
	print ".Sh SEE ALSO\n.Xr fipcctl 1 ,\n.Xr fipc_base 3 ,\n.Xr fipc 7 ,\n.Xr fipcd 8"
}
