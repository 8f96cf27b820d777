# Outlives `npm start` by a moment: when its standard input ends, however the parent died, it ends the process groups
# that are still registered. Input: a line `+ <pid>` for a child that began, `- <pid>` for one that ended.

trap '' INT TERM HUP
pids=''
while read -r sign pid; do
  others=''
  for one in $pids; do [ "$one" = "$pid" ] || others="$others $one"; done
  pids=$others
  [ "$sign" = + ] && pids="$pids $pid"
done
[ -n "$pids" ] || exit 0
for pid in $pids; do kill -s TERM -- "-$pid" 2>/dev/null; done
sleep 3
for pid in $pids; do kill -s KILL -- "-$pid" 2>/dev/null; done
exit 0
