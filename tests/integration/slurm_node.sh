#!/usr/bin/env bash
# Starts a Slurm of one node in a folder of its own, and stops it when its standard input ends.
#
#   tests/integration/slurm_node.sh FOLDER      then, in another shell:
#   SLURM_CONF=FOLDER/slurm.conf sinfo
#
# FOLDER/ready appears when jobs can come. The daemons listen on the loopback address, on ports that
# nobody has, and keep everything in FOLDER; nothing of the system's own Slurm is touched. The node
# says that it has four processors, so that four tasks run at once on any machine. Jobs of the
# partition `high` take their place from those of `low`, which are queued again.
set -euo pipefail

mkdir -p "$1"
folder=$(realpath "$1")
export SLURM_CONF=$folder/slurm.conf
socket=$folder/munge/socket
PATH=$PATH:/usr/sbin:/sbin

die() {
  printf 'slurm_node.sh: %s\n' "$*" >&2
  exit 1
}

for program in munged slurmctld slurmd sbatch srun scontrol scancel python3; do
  command -v "$program" >/dev/null || die "there is no $program"
done

# Two ports that nobody listens on, outside the range that the kernel hands out by itself.
free_ports() {
  python3 -c '
import random, socket
held = []
while len(held) < 2:
    one = socket.socket()
    try:
        one.bind(("127.0.0.1", random.randrange(10000, 30000)))
        held.append(one)
    except OSError:
        pass
print(*[one.getsockname()[1] for one in held])'
}

# cred_expire is how long a job waits that was queued again; five seconds is the least there is.
# Resources are counted, processes are found by their parents: no control groups, whose plugin must be
# named all the same and gets a folder that has none.
write_settings() {
  local host controller_port node_port
  host=$(uname -n)
  host=${host%%.*}
  read -r controller_port node_port < <(free_ports)
  cat >"$SLURM_CONF" <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$socket,cred_expire=5
SlurmctldPort=$controller_port
SlurmdPort=$node_port
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,bf_interval=1
NodeName=node NodeAddr=127.0.0.1 NodeHostname=$host CPUs=4
PartitionName=low Nodes=node Default=YES PriorityTier=1
PartitionName=high Nodes=node PriorityTier=2
END
  cat >"$folder/cgroup.conf" <<END
CgroupPlugin=cgroup/v1
CgroupAutomount=no
CgroupMountpoint=$folder/no_cgroups
END
}

# Waits until a command succeeds, for half a minute at most, while the daemons live.
wait_for() {
  local process
  for _ in {1..150}; do
    "$@" >/dev/null 2>&1 && return
    for process in "${daemons[@]}"; do
      kill -0 "$process" 2>/dev/null || die "a daemon ended; its log is in $folder"
    done
    sleep 0.2
  done
  die "waited in vain for: $*"
}

is_idle() { sinfo --noheader --format=%t | grep -qx idle; }
is_empty() { [[ -z $(squeue --noheader) ]]; }

# Ends processes of jobs that were left running, whatever their state. Their environment names this
# very Slurm; the daemons that look after them end with them.
kill_leftovers() {
  local process
  for process in /proc/[0-9]*; do
    if grep -qzx "SLURM_CONF=$SLURM_CONF" "$process/environ" &&
      grep -qz '^SLURM_JOB_ID=' "$process/environ"; then
      kill -KILL "${process#/proc/}"
    fi
  done 2>/dev/null
}

stop() {
  set +e
  trap - EXIT
  local process
  if [[ -e $folder/ready ]]; then
    scancel --user="$(id -un)"
    for _ in {1..25}; do
      is_empty && break
      sleep 0.2
    done
  fi
  # slurmd would wait for jobs that do not end.
  kill "${daemons[@]}" 2>/dev/null
  for _ in {1..15}; do
    kill -0 "${daemons[@]}" 2>/dev/null || break
    sleep 0.2
  done
  kill -KILL "${daemons[@]}" 2>/dev/null
  wait 2>/dev/null
  kill_leftovers
  rm -f "$folder/ready"
}

daemons=()
trap stop EXIT
mkdir -p "$folder"/{state,spool,munge}
chmod 711 "$folder/munge"
(umask 077 && head --bytes=1024 /dev/urandom >"$folder/munge/key")
write_settings
munged --foreground --force --key-file="$folder/munge/key" --socket="$socket" \
  --pid-file="$folder/munge/pid" --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" \
  </dev/null >"$folder/munged.out" 2>&1 &
daemons+=($!)
wait_for test -S "$socket"
slurmctld -D -c </dev/null >"$folder/slurmctld.out" 2>&1 &
daemons+=($!)
slurmd -D -c -N node </dev/null >"$folder/slurmd.out" 2>&1 &
daemons+=($!)
wait_for is_idle
touch "$folder/ready"
cat >/dev/null
