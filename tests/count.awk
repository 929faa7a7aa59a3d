# SPDX-License-Identifier: Apache-2.0
# Reads what ctest --output-junit wrote; prints "<passed> <failed> <skipped>". cmocka cases are counted one by one, any
# other test as one, and each part that such a test says it skipped. With the variables
#	title       of the run
#	skips       file to append to, for each skip: "<run>: <test>: <reason>"
#	root_tests  file with the names of the tests that only root can run
#	strict      0, the uid: a skipped one of these is a failure
BEGIN {
	while ((getline name <root_tests) > 0)
		needs_root[name] = 1
}

function plain(text)
{
	gsub(/&lt;/, "<", text)
	gsub(/&gt;/, ">", text)
	gsub(/&quot;/, "\"", text)
	gsub(/&amp;/, "\\&", text)
	return text
}

function skip(reason)
{
	if (strict == "0" && test in needs_root) {
		reason = reason " (and root was there: FAILED)"
		failed++
	} else {
		skipped++
	}
	print title ": " test ": " plain(reason) >>skips
}

function attribute(key, value)
{
	value = $0
	if (!sub(".* " key "=\"", "", value))
		return ""
	sub(/".*/, "", value)
	return value
}

/^\t<testcase / {
	test = attribute("name")
	status = attribute("status")
	ok = bad = cases = in_group = reasons = 0
	left_out = ""
}

/<skipped message=/ {
	left_out = attribute("message")
}

{
	sub(/^.*<system-out>/, "")
}

/^\[==========\] Running / {
	in_group = 1
}

/^\[==========\] .* run\./ {
	in_group = 0
}

/^SKIP: / {
	reason[++reasons] = substr($0, 7)
}

in_group && /^\[       OK \]/ {
	ok++
}

in_group && /^\[  FAILED  \]/ {
	bad++
}

in_group && /^\[  SKIPPED \]/ {
	cases++
	skip($4 ": " (reasons ? reason[reasons] : "no reason given"))
	reasons = 0
}

/<\/testcase>/ {
	for (i = 1; i <= reasons; i++)
		skip(reason[i])
	if (left_out ~ /^SKIP_RETURN_CODE/) {
		if (!reasons && !cases)
			skip("no reason given")
	} else if (status == "run") {
		ok += !ok && !cases
	} else {
		bad += !bad
	}
	passed += ok
	failed += bad
}

END {
	print passed + 0, failed + 0, skipped + 0
}
