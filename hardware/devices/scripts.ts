// What is asked of a device's own shell (POSIX, as of Debian or busybox). `$1` is the folder that everything of ours is in. A
// process is ours when its command line says so: a number in a file alone may be anybody's by now. That of a run has the name of
// another node than the device's, which is in `agent.name`.

const OURS = `cd "$1" 2>/dev/null || exit 3
pid=$(cat agent.pid 2>/dev/null) || pid=
known=$(cat agent.name 2>/dev/null) || known=$2
ours() { [ -n "$pid" ] && tr '\\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q "product/cli.[jt]s agent --json --name $known "; }
`;
/** There is nothing installed. */
export const EXIT_NOTHING = 3;
export const EXIT_RUNNING = 4;
export const EXIT_NOT_UP = 5;
/** A run has the device; standard error says who. */
export const EXIT_TAKEN = 6;

/**
 * In the folder: ends where a run is under way, which is while its program lives. `run/host` has that program's number and when it
 * started, as `startOf` reads it; `run/owner` who began the run.
 */
const UNLESS_TAKEN = `unless_taken() {
  host=$(cat run/host 2>/dev/null) || return 0
  [ "\${host#* }" = "$(sed 's/.*) //' "/proc/\${host%% *}/stat" 2>/dev/null | cut -d' ' -f20)" ] || return 0
  echo "\${host%% *} $(cat run/owner 2>/dev/null)" >&2
  exit ${EXIT_TAKEN}
}
`;

/** What it is and what it has, as \`key=value\`, then its processors. $2: Node.js. */
export const LOOK = `echo "machine=$(uname -m)"
echo "node=$("$2" --version 2>/dev/null)"
mkdir -p "$1" 2>/dev/null && [ -w "$1" ] && echo "writable=yes"
echo "freeKiB=$(df -Pk "$1" 2>/dev/null | awk 'NR==2 { print $4 }')"
echo "installed=$(sed -n 's/^  "version": "\\(.*\\)",$/\\1/p' "$1/product/package.json" 2>/dev/null)"
echo "processors"
cat /proc/cpuinfo`;

/** Takes the archive from standard input; what was there before is there until it is complete. */
export const UNPACK = `${UNLESS_TAKEN}set -e
umask 077
mkdir -p "$1" && cd "$1"
unless_taken
rm -rf product.next && mkdir product.next
tar -C product.next -xzf -
unless_taken
rm -rf product.before installed
[ ! -d product ] || mv product product.before
mv product.next product
rm -rf product.before`;

/**
 * Takes a file from standard input. $2: its name; under another first, because a library that is mapped is not written into. $3: its
 * bytes, as a connection that is cut looks like its end.
 */
export const PLACE = `${UNLESS_TAKEN}set -e
umask 077
cd "$1"
unless_taken
cat >"$2.next"
[ "$(wc -c <"$2.next")" -eq "$3" ] || { rm -f "$2.next"; echo "only a part of $2 arrived" >&2; exit 1; }
chmod 700 "$2.next"
unless_taken
mv "$2.next" "$2"`;

/** $2: name of the node, $3: Node.js, $4: seconds it may take, then the arguments of the agent. A join token comes from standard input. */
export const START = `${UNLESS_TAKEN}${OURS}[ -f product/cli.js ] || exit ${EXIT_NOTHING}
unless_taken
ours "$@" && { tr '\\0' ' ' <"/proc/$pid/cmdline"; exit ${EXIT_RUNNING}; }
[ -f installed ] || exit ${EXIT_NOTHING}
name=$2 node=$3 left=$4
shift 4
umask 077
rm -rf run agent.name # What is left of a run that died: the next one would end the agent with it.
WASMMATRIX_JOIN=$(cat)
[ -z "$WASMMATRIX_JOIN" ] || export WASMMATRIX_JOIN
WASMMATRIX_ENGINE=$PWD/engine.node
NODE_COMPILE_CACHE=$PWD/code
export WASMMATRIX_ENGINE NODE_COMPILE_CACHE
: >agent.json
setsid "$node" product/cli.js agent --json --name "$name" --data data --log-format json --log-records records.jsonl "$@" \\
  </dev/null >agent.json 2>>agent.log &
echo $! >agent.pid
pid=$!
while [ "$left" -gt 0 ]; do
  [ ! -s agent.json ] || { cat agent.json; exit 0; }
  kill -0 "$pid" 2>/dev/null || { rm -f agent.pid; tail -n 3 agent.log >&2; exit ${EXIT_NOT_UP}; }
  sleep 1
  left=$((left - 1))
done
tail -n 3 agent.log >&2
exit ${EXIT_NOT_UP}`;

/** $2: name, $3: seconds until it is killed. Says what ended it. */
export const STOP = `${OURS}ours "$@" || { rm -f agent.pid; echo 'was not running'; exit 0; }
kill -CONT "$pid"; kill -TERM "$pid"
left=$3
while [ "$left" -gt 0 ]; do
  ours "$@" || { rm -f agent.pid; echo 'stopped in order'; exit 0; }
  sleep 1
  left=$((left - 1))
done
kill -KILL "$pid"
rm -f agent.pid
echo 'was killed: it did not stop in its time'`;

/** $2: name, $3: signal. */
export const FAULT = `${OURS}ours "$@" || exit ${EXIT_NOTHING}
kill -"$3" "$pid"`;

/** What there is to collect, one file a line. */
export const LIST = `cd "$1" 2>/dev/null || exit ${EXIT_NOTHING}
for file in agent.log agent.json records.jsonl; do [ ! -f "$file" ] || echo "$file"; done`;

/** The program of a run (`host.main.ts`). $2: name, $3: Node.js, $4: who runs it. */
export const RUN_HOST = `cd "$1" 2>/dev/null && [ -f product/device-host.js ] && [ -f installed ] || exit ${EXIT_NOTHING}
WASMMATRIX_ENGINE=$PWD/engine.node
NODE_COMPILE_CACHE=$PWD/code
export WASMMATRIX_ENGINE NODE_COMPILE_CACHE
exec "$3" product/device-host.js "$2" "$4"`;

/** Says that the forwardings of its session stand, and lives until standard input closes. */
export const STAY = `echo standing
exec cat`;

/** What is installed, as it was told when it was. */
export const INSTALLED = `cat "$1/installed" 2>/dev/null`;

/** Remembers what is installed: $2. */
export const REMEMBER = `cd "$1" && echo "$2" >installed`;

/** Everything of ours goes, and the folder when nothing else is in it. $2: name. */
export const REMOVE = `${UNLESS_TAKEN}${OURS}unless_taken
ours "$@" && exit ${EXIT_RUNNING}
rm -rf product product.next product.before engine.node engine.node.next node node.next code data run installed
rm -f agent.pid agent.name agent.json agent.log records.jsonl records.jsonl.1
here=$PWD
cd /
rmdir "$here" 2>/dev/null || :`;
