# Returns once the service in whose container this runs is ready, and has taken the files in its `etc`.
# In: the URL that says so, and for a service that reloads: where it shows the proof, the proof's name, and the name of
# the metric that is 1 after a success (without one, the proof is a field of a JSON answer).
set -eu
ready=$1 url=${2:-} proof=${3:-} success=${4:-}
READY_TRIES=300
RELOAD_TRIES=75

get() {
  timeout 5 wget -q -O - "$1" 2>&1
}

fail() {
  echo "$1" >&2
  exit 1
}

tries=$READY_TRIES
until answer=$(get "$ready"); do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || fail "not ready in time: $ready: $answer"
  sleep 0.2
done

[ -n "$url" ] && [ -e etc/.loaded ] || exit 0
# Seconds since 1970 at which process 1 started: its 22nd field counts hundredths of a second from the boot.
read -r up _ </proc/uptime
start=$(sed 's/.*) //' /proc/1/stat | cut -d ' ' -f 20)
[ "$(stat -c %Y etc/.loaded)" -gt $(($(date +%s) - ${up%.*} + start / 100)) ] || exit 0

mark() {
  if [ -n "$success" ]; then
    get "$url" | sed -n "s/^$1 //p"
  else
    get "$url" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"
  fi
}

before=$(mark "$proof")
well=$([ -z "$success" ] || mark "$success")
kill -HUP 1
tries=$RELOAD_TRIES
while [ "$tries" -gt 0 ]; do
  sleep 0.2
  after=$(mark "$proof")
  [ -z "$after" ] || [ "$after" = "$before" ] || exit 0
  [ -z "$success" ] || [ "$well" != 1 ] || [ "$(mark "$success")" != 0 ] || fail "refused its new configuration: $success is 0"
  tries=$((tries - 1))
done
fail "has not taken its new configuration in time: $proof at $url is still $before"
