# Puts the files of a bundle in place of a service's files, each whole or not at all, and removes the others.
# In: uid:gid of the service, then NAME=PATH for each secret that is made here, and a directory for each volume.
set -eu
owner=$1
shift

# Made once for an environment: services that name the same secret find the one that was first.
generate() {
  if [ ! -e "/generated/$1" ]; then
    new="/generated/.$1.$(hostname)"
    (umask 077 && head -c 24 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n' >"$new")
    ln "$new" "/generated/$1" 2>/dev/null || [ -e "/generated/$1" ]
    rm "$new"
  fi
}

# Before each file is a line with its bytes, its digest and its path, and after it a line break that is not its own.
# One read of a file brings all that is asked for, and `read` takes no more than a line: each begins where the last ended.
unpack() {
  while read -r _ bytes _ path; do
    mkdir -p "$(dirname ".new/$path")"
    { [ "$bytes" = 0 ] || dd bs="$bytes" count=1 status=none; } >".new/$path"
    read -r _
  done <.bundle
  rm .bundle
}

rm -rf etc/.new secrets/.new
for wanted in "$@"; do
  case $wanted in
    *=*)
      generate "${wanted%%=*}"
      new="secrets/.new/${wanted#*=secrets/}"
      mkdir -p "$(dirname "$new")"
      (umask 077 && cp "/generated/${wanted%%=*}" "$new")
      ;;
    *)
      chown "$owner" "$wanted"
      chmod 0700 "$wanted"
      ;;
  esac
done

for top in etc secrets; do
  [ -d "$top" ] || continue
  mkdir -p "$top/.new"
  if [ -e "$top/.bundle" ]; then
    (cd "$top" && umask 077 && unpack)
  fi
  case $top in
    etc) find etc/.new -type f -exec chmod 0644 {} \; ;;
    secrets) find secrets/.new -type f -exec chown "$owner" {} \; -exec chmod 0400 {} \; ;;
  esac
  (cd "$top" && find . -type f -not -path './.new/*' -not -path ./.loaded) | while read -r path; do
    [ -e "$top/.new/$path" ] || rm "$top/$path"
  done
  (cd "$top/.new" && find . -type f) | while read -r path; do
    mkdir -p "$top/$(dirname "$path")"
    mv -f "$top/.new/$path" "$top/$path"
  done
  find "$top" -mindepth 1 -depth -type d -exec rmdir {} \; 2>/dev/null || true
  # Who reloads knows by it whether the process is older than its files.
  touch "$top/.loaded"
done
