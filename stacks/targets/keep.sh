# Keeps the files of a service as its ConfigMaps say, for as long as its pod lives: lays them out in `etc`, tells the
# service by SIGHUP, and says in `etc/.state` what became of it: `loaded DIGEST`, or `refused DIGEST: why`.
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

# Silent if the service takes its files; says why if not.
reload() {
  before=$(mark "$proof") pid=$(service)
  # One that does not answer yet has its files before it.
  [ -n "$before" ] && [ -n "$pid" ] || return 0
  well=$([ -z "$success" ] || mark "$success")
  kill -HUP "$pid"
  tries=$RELOAD_TRIES
  while [ "$tries" -gt 0 ]; do
    sleep 0.2
    after=$(mark "$proof")
    [ -z "$after" ] || [ "$after" = "$before" ] || return 0
    if [ -n "$success" ] && [ "$well" = 1 ] && [ "$(mark "$success")" = 0 ]; then
      echo "$success is 0"
      return 0
    fi
    tries=$((tries - 1))
  done
  echo "$proof is still $before"
}

while true; do
  wanted=$(cat new/.digest-* | tr -d '\n')
  if [ "$wanted" != "$laid" ]; then
    lay
    why=
    [ -z "$laid" ] || [ -z "$url" ] || why=$(reload)
    laid=$wanted
    if [ -n "$why" ]; then echo "refused $laid: $why"; else echo "loaded $laid"; fi >etc/.state.new
    mv etc/.state.new etc/.state
    cat etc/.state
  fi
  # In the background, so that the end of the pod need not wait for it.
  sleep 1 &
  wait $!
done
