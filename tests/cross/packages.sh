# SPDX-License-Identifier: Apache-2.0
# Read by the scripts beside it; $dir is where they build.

# apt_get <word>...: as on a 64-bit ARM machine on which nothing is installed; this machine's own packages are not touched
apt_get()
{
	apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User="$(id -un)" \
		-o Dir::State="$dir/apt" -o Dir::State::status="$dir/apt/status" -o Dir::Cache="$dir/apt" -o Dpkg::Use-Pty=0 "$@"
}

# fetch <package>...: and all that they need, into $dir/apt/archives
fetch()
{
	rm -rf "$dir/apt"
	mkdir -p "$dir/apt/lists/partial" "$dir/apt/archives/partial" && : >"$dir/apt/status" || return 1
	apt_get update && apt_get install -y --no-install-recommends --download-only "$@" >"$dir/apt.log"
}

# unpack <folder> <package>...: have them there, if they are not
unpack()
{
	folder=$1
	shift
	[ ! -d "$folder" ] || return 0
	if ! fetch "$@"; then
		echo "fipc: apt-get could not fetch Debian's packages for 64-bit ARM: see above, and $dir/apt.log" >&2
		return 1
	fi
	rm -rf "$folder.new"
	mkdir -p "$folder.new" || return 1
	for package in "$dir"/apt/archives/*.deb; do
		dpkg -x "$package" "$folder.new" || return 1
	done
	[ -e "$folder.new/lib" ] || ln -s usr/lib "$folder.new/lib" || return 1 # after Debian 12
	mv "$folder.new" "$folder" && rm -rf "$dir/apt"
}
