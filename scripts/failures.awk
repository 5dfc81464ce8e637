# The failed tests of an output of go test, each with the first and the last lines that it wrote; the end of the output when it
# names none. Usage: awk -f scripts/failures.awk OUTPUT

BEGIN { first = 12; last = 24 }

{ all[NR] = $0 }

/^=== (RUN|NAME|CONT|PAUSE) / || /^ *--- (PASS|SKIP): / { at = $3; next }
/^ *--- FAIL: / { fail($3); next }
/^(panic: |fatal error: |WARNING: DATA RACE)/ { fail($0) }
/^(ok|\?|PASS|FAIL|exit status)/ { at = ""; next }
{ lines[at, ++count[at]] = length($0) > 400 ? substr($0, 1, 400) " ..." : $0 }

function fail(name) {
  at = name
  if (!(name in failed)) { failed[name]; order[++fails] = name }
}

END {
  for (n = 1; n <= fails; n++) {
    at = order[n]
    if (!count[at]) continue
    print "--- " at
    for (i = 1; i <= count[at]; i++) {
      if (i <= first || i > count[at] - last) print lines[at, i]
      else if (i == first + 1) print "    ..."
    }
    shown = 1
  }
  for (i = NR > last ? NR - last + 1 : 1; !shown && i <= NR; i++) print all[i]
}
