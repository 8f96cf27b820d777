# Outlives `npm start` by a moment: when its standard input ends, however the parent died, it ends the process groups
# that are still registered, and removes their folders. Input: a line `+ <pid>` for a child that began, `- <pid>` for one that ended,
# `d <folder>` for one that must not stay behind; when no child is left the parent has removed it, or is about to.

trap '' INT TERM HUP
pids=''
folders=''
while read -r sign what; do
  if [ "$sign" = d ]; then
    folders="$folders$what
"
    continue
  fi
  others=''
  for one in $pids; do [ "$one" = "$what" ] || others="$others $one"; done
  pids=$others
  [ "$sign" = + ] && pids="$pids $what"
done
[ -n "$pids" ] || exit 0
for pid in $pids; do kill -s TERM -- "-$pid" 2>/dev/null; done
sleep 3
for pid in $pids; do kill -s KILL -- "-$pid" 2>/dev/null; done
printf '%s' "$folders" | while IFS= read -r folder; do rm -rf -- "$folder"; done
exit 0
