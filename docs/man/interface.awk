# SPDX-License-Identifier: Apache-2.0
# The page of a Varlink interface: its text, the comments as paragraphs, where the page's source says @INTERFACE@.
# awk -f interface.awk <interface> <page>
function escaped(text)
{
	gsub(/\\/, "\\e", text)
	gsub(/'/, "\\(aq", text)
	return text ~ /^[.]/ ? "\\&" text : text
}

# A declaration's line, broken where a list has a comma, to fit a page.
function literal(line,    end, indent)
{
	indent = ""
	while (length(indent line) > 76 && line ~ /[,>] /) {
		end = 76 - length(indent)
		while (end > 0 && substr(line, end, 2) !~ /^[,>] $/)
			end--
		if (end == 0)
			break
		declaration = declaration indent escaped(substr(line, 1, end)) "\n"
		line = substr(line, end + 2)
		indent = "    "
	}
	declaration = declaration indent escaped(line) "\n"
}

function flush()
{
	if (declaration != "")
		interface = interface (heading == "" ? "" : ".Ss " heading "\n") comment \
			".Bd -literal\n" declaration ".Ed\n"
	else if (comment != "")
		interface = interface comment
	heading = comment = declaration = ""
}

FNR == NR && /^#/ {
	line = substr($0, 3)
	if (comment != "" && line ~ /^[a-z_]+(, [a-z_]+)*: /)
		comment = comment ".Pp\n"
	sub(/^ +/, "", line)
	line = escaped(line)
	gsub(/[.] +/, ".\n", line)
	comment = comment line "\n"
	next
}
FNR == NR && /^$/ { flush(); next }
FNR == NR {
	if (declaration == "" && $1 != "interface") {
		heading = $1 " " $2
		sub(/\(.*/, "", heading)
	}
	literal($0)
	next
}
/^@INTERFACE@$/ {
	flush()
	printf "%s", interface
	next
}
{ print }
