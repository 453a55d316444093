# The sampler for phones that don't run ours: the same arguments and output, at most ten rows a
# second. `read` and `echo` are the shell's own, so that only `sleep` starts a process.
period=$1 limit=$2
shift 2
echo "mmz-sampler 1 loop"
paths=
for node in "$@"; do
  name=${node%%=*} path=${node#*=}
  if value=$(cat "$path" 2>/dev/null); then
    paths="$paths $path" how=node
  elif [ -e "$path" ]; then
    how=denied
  else
    how=missing
  fi
  echo "$how $name $path"
done
echo start
trap 'exit 0' TERM INT
trap '' HUP
read -r up idle </proc/uptime
# In whole seconds, as a shell of 32 bits holds no more: one on top, so that it is never too short.
end=$((${up%.*} + limit + 1))
while [ "${up%.*}" -lt "$end" ]; do
  row="- ${up%.*}${up#*.}0000"
  for path in $paths; do
    value=-
    read -r value <"$path" || value=-
    case ${value#-} in
      '' | *[!0-9]*) value=- ;;
    esac
    row="$row $value"
  done 2>/dev/null
  echo "$row"
  sleep "$period"
  read -r up idle </proc/uptime
done
