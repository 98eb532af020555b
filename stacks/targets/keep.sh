# Keeps the files of a service as its ConfigMaps say, for as long as its pod lives: lays them out in `etc`, tells the
# service by SIGHUP, and says in `etc/.state` what became of it: `loaded DIGEST`, `refused DIGEST: why`, or, for as long as
# the service cannot be asked, `waiting DIGEST: why`.
# In, for a service that reloads: the URL where it shows the proof, the proof's name, and the name of the metric that is
# 1 after a success (without one, the proof is a field of a JSON answer).
set -eu
url=${1:-} proof=${2:-} success=${3:-}
RELOAD_TRIES=75
laid=
trap 'exit 0' TERM

# Of the files in `new`, which one level cannot hold otherwise, `..` in a name stands for a step down.
lay() {
  (cd etc && find . -type f -not -path ./.state) | while read -r path; do
    [ -e "new/$(echo "${path#./}" | sed 's,/,..,g')" ] || rm "etc/$path"
  done
  for file in new/*; do
    path=etc/$(basename "$file" | sed 's,\.\.,/,g')
    mkdir -p "$(dirname "$path")"
    cmp -s "$file" "$path" || { cp "$file" "$path.new" && mv "$path.new" "$path"; }
  done
  find etc -mindepth 1 -depth -type d -exec rmdir {} \; 2>/dev/null || true
}

# The first process of the service: as those of the pause container and of this one, it has no parent here.
service() {
  for stat in /proc/[0-9]*/stat; do
    pid=${stat#/proc/} pid=${pid%/stat}
    [ "$pid" = 1 ] || [ "$pid" = $$ ] || [ "$(sed 's/.*) //' "$stat" 2>/dev/null | cut -d ' ' -f 2)" != 0 ] || echo "$pid"
  done | sort -n | head -n 1
}

mark() {
  if [ -n "$success" ]; then
    timeout 5 wget -q -O - "$url" 2>/dev/null | sed -n "s/^$1 //p"
  else
    timeout 5 wget -q -O - "$url" 2>/dev/null | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"
  fi
}

# What is to be said of the files, once the service has been told of them.
reload() {
  before=$(mark "$proof") pid=$(service)
  if [ -z "$before" ] || [ -z "$pid" ]; then
    echo "waiting $wanted: $url does not answer"
    return 0
  fi
  well=$([ -z "$success" ] || mark "$success")
  kill -HUP "$pid"
  tries=$RELOAD_TRIES
  while [ "$tries" -gt 0 ]; do
    sleep 0.2
    after=$(mark "$proof")
    if [ -n "$after" ] && [ "$after" != "$before" ]; then
      echo "loaded $wanted"
      return 0
    fi
    if [ -n "$success" ] && [ "$well" = 1 ] && [ "$(mark "$success")" = 0 ]; then
      echo "refused $wanted: $success is 0"
      return 0
    fi
    tries=$((tries - 1))
  done
  echo "refused $wanted: $proof is still $before"
}

say() {
  [ "$1" != "$(cat etc/.state 2>/dev/null)" ] || return 0
  echo "$1" >etc/.state.new
  mv etc/.state.new etc/.state
  echo "$1"
}

while true; do
  wanted=$(cat new/.digest-* | tr -d '\n')
  if [ "$wanted" != "$laid" ]; then
    lay
    # One that starts finds its files.
    if [ -z "$laid" ] || [ -z "$url" ]; then said="loaded $wanted"; else said=$(reload); fi
    say "$said"
    [ "${said%% *}" = waiting ] || laid=$wanted
  fi
  # In the background, so that the end of the pod need not wait for it.
  sleep 1 &
  wait $!
done
