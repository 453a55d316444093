"""Android's commands as small shell scripts, and the list of host commands that a phone has.

The scripts read their answers from ../stub relative to their folder, so they work both in a
namespace, where that is /system/stub, and in a plain folder of the host.
"""

from __future__ import annotations

import shutil

# Commands of Android's toybox and shell, taken from the host. Other commands do not exist on the
# phone, as on a real one, for example bash, Python and curl.
HOST_COMMANDS = (
    "sh", "[", "awk", "base64", "basename", "cat", "chgrp", "chmod", "chown", "cksum", "cmp", "cp",
    "cut", "dd", "df", "diff", "dirname", "du", "echo", "env", "expr", "false", "find",
    "grep", "groups", "gunzip", "gzip", "head", "hostname", "id", "kill", "ln", "ls", "md5sum",
    "mkdir", "mkfifo", "mktemp", "mv", "nice", "nohup", "nproc", "od", "paste", "pgrep", "pidof",
    "pkill", "printenv", "printf", "ps", "pwd", "readlink", "realpath", "rm", "rmdir", "sed", "seq",
    "setsid", "sha1sum", "sha256sum", "sleep", "sort", "split", "stat", "stty", "sync", "tail",
    "tar", "tee", "test", "time", "timeout", "touch", "tr", "true", "truncate", "tty", "uname",
    "uniq", "uptime", "wc", "which", "whoami", "xargs", "xxd", "yes",
)  # fmt: skip

_GETPROP = """#!/bin/sh
props=${0%/*}/../stub/props
if [ $# -eq 0 ]; then
    while IFS='=' read -r name value; do echo "[$name]: [$value]"; done <"$props"
    exit 0
fi
while IFS='=' read -r name value; do
    if [ "$name" = "$1" ]; then printf '%s\\n' "$value"; exit 0; fi
done <"$props"
printf '%s\\n' "$2"
"""

# `unplug` and `set` freeze all values until `reset`, like the test mode of healthd.
_DUMPSYS = """#!/bin/sh
stub=${0%/*}/../stub
case "$1" in *[!A-Za-z0-9._]*) exit 20;; esac
frozen=$stub/state/battery_frozen
if [ "$1" = battery ]; then
    case "$2" in
    unplug|set) : >"$frozen"; exit 0;;
    reset) rm -f "$frozen"; exit 0;;
    esac
fi
if [ ! -f "$stub/dumpsys/$1" ]; then
    echo "Can't find service: $1" >&2
    exit 0
fi
if [ "$1" = battery ] && [ -f "$frozen" ]; then
    while IFS= read -r line; do
        printf '%s\\n' "$line"
        case "$line" in "Current Battery"*)
            echo "  (UPDATES STOPPED -- use 'reset' to restart)";;
        esac
    done <"$stub/dumpsys/battery"
else
    cat "$stub/dumpsys/$1"
fi
"""

_SETTINGS = """#!/bin/sh
state=${0%/*}/../stub/state
case "$2.$3" in */*) exit 1;; esac
case "$1" in
get) if [ -f "$state/$2.$3" ]; then cat "$state/$2.$3"; else echo null; fi;;
put) printf '%s\\n' "$4" >"$state/$2.$3";;
delete) rm -f "$state/$2.$3"; echo "Deleted 1 rows";;
*) exit 1;;
esac
"""

# Hosts rarely have the phone's cores, so the mask is checked and passed on but not applied.
_TASKSET = """#!/bin/sh
case "$1" in
-p|-a|-ap|-pa) echo "pid $2's current affinity mask: @ALL@"; exit 0;;
esac
mask=$1
case "$mask" in ''|*[!0-9a-fA-F]*) echo "taskset: bad mask '$mask'" >&2; exit 1;; esac
case " @REFUSED@ " in *" $mask "*) bits=0;; *) bits=$((0x$mask & 0x@ALL@));; esac
if [ "$bits" -eq 0 ]; then
    echo "taskset: failed to set pid 0's affinity: Invalid argument" >&2
    exit 1
fi
shift
if [ $# -eq 0 ]; then echo "taskset: Needs 2 arguments" >&2; exit 1; fi
VIRTUAL_PHONE_MASK=$mask
export VIRTUAL_PHONE_MASK
exec "$@"
"""

# The wall clock is the simulated time of the phone, or the host's time plus an offset.
_DATE = """#!/bin/sh
state=${0%/*}/../stub/state
if [ -f "$state/now" ]; then
    read -r now <"$state/now" && set -- -d "@$now" "$@"
elif [ -f "$state/clock" ]; then
    read -r seconds <"$state/clock" && set -- -d "$seconds seconds" "$@"
fi
exec @DATE@ "$@"
"""

# For phones with simulated time; see simulated.py.
SLEEP = """#!/bin/sh
state=${0%/*}/../stub/state
[ -p "$state/sleepers" ] || exec @SLEEP@ "$@"
reply=$state/sleeper.$$
mkfifo "$reply" 2>/dev/null || { rm -f "$reply"; mkfifo "$reply"; }
echo "$$ $1" >"$state/sleepers"
read -r now <"$reply"
"""

_CMD = """#!/bin/sh
case "$1.$2" in
*[!a-z.-]*) exit 255;;
power.set-fixed-performance-mode-enabled)
    sdk=$("${0%/*}/getprop" ro.build.version.sdk)
    if [ "$sdk" -lt 30 ]; then echo "Unknown command: $2" >&2; exit 255; fi
    echo "$3" >"${0%/*}/../stub/state/fixed_performance";;
esac
told=${0%/*}/../stub/cmd/$1.$2
[ ! -f "$told" ] || cat "$told"
"""

_IP = """#!/bin/sh
cat "${0%/*}/../stub/ip" 2>/dev/null
"""

_NOTHING = "#!/bin/sh\nexit 0\n"

# Used if /data is a plain folder, for which the host's df would show the host's disk.
DF_IN_A_FOLDER = """#!/bin/sh
set -- $(du -sk "${0%/*}/../../data")
total=$((@DISK_BYTES@ / 1024))
echo "Filesystem      1K-blocks      Used Available Use% Mounted on"
echo "/dev/block/dm-5 $total $1 $((total - $1)) $(($1 * 100 / total))% /data"
"""

ID_IN_A_FOLDER = """#!/bin/sh
case "$1" in
-u|-g|-G) echo 2000;;
-un|-gn) echo shell;;
*) echo "uid=2000(shell) gid=2000(shell) groups=2000(shell)";;
esac
"""


def stub_scripts(cpus: tuple[int, ...], refused_masks: tuple[str, ...]) -> dict[str, str]:
    """Returns the texts of the scripts in /system/bin, by name."""
    every_core = f"{sum(1 << cpu for cpu in cpus):x}"
    taskset = _TASKSET.replace("@ALL@", every_core).replace("@REFUSED@", " ".join(refused_masks))
    return {
        "cmd": _CMD,
        "date": _DATE.replace("@DATE@", shutil.which("date") or "/bin/date"),
        "getprop": _GETPROP,
        "dumpsys": _DUMPSYS,
        "settings": _SETTINGS,
        "taskset": taskset,
        "ip": _IP,
        **dict.fromkeys(("am", "input", "logcat", "pm", "svc", "wm"), _NOTHING),
    }
