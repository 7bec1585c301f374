//! Namespaces of the Linux kernel: a file system of a node's own, and a network where nodes are cut off.
//!
//! Both are made inside a user namespace, so that no privilege is needed, nothing outside changes, and
//! all of it goes with the processes. `unshare` and `nsenter` (util-linux) and `ip` (iproute2) make them.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use super::QdrantNodes;

/// The variable that tells a process that it is in a network of its own.
const INSIDE: &str = "BRAID_TEST_OWN_NETWORK";

/// A network with one switch, `nodes`, and this side's port of it.
const SWITCH: &str = "ip link set lo up
    ip link add name nodes type bridge
    ip addr add 10.77.0.1/24 dev nodes
    ip link set nodes up";

/// A cable from a network of its own to the switch of the process `$2`: `$1` at the switch, the address
/// `$3` at this end. The rest is the command to run.
const CABLE: &str = "ip link set lo up
    ip link add name uplink type veth peer name \"$1\" netns \"$2\"
    ip addr add \"$3\"/24 dev uplink
    ip link set uplink up
    nsenter --target \"$2\" --net ip link set \"$1\" master nodes up
    shift 3
    exec \"$@\"";

/// Whether this process is in a network of its own, so that nodes can be
/// [`apart`](super::NodeOptions::apart).
///
/// Where it is not, this runs the test `name` of this binary once more, in one, and the caller has nothing
/// left to do. Where there is no binary of a server, or no such network can be made, it says so.
///
/// # Panics
/// Where that run fails.
pub fn in_own_network(name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    if QdrantNodes::binary().is_none() {
        return false;
    }
    let try_out = format!("{SWITCH}\nunshare --net true");
    if !is_possible(own_network(&try_out), "a network of its own") {
        return false;
    }
    let this = std::env::current_exe().expect("the path of this binary");
    let mut command = own_network(&format!("{SWITCH}\nexec \"$@\""));
    command
        .arg("sh")
        .arg(this)
        .args([name, "--exact", "--nocapture"])
        .env(INSIDE, "1");
    let done = command.output().expect("a process");
    let said = String::from_utf8_lossy(&done.stdout);
    let failed = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}{failed}");
    assert!(said.contains(" 1 passed"), "there is no test {name}");
    false
}

/// Whether a node can be given a file system of its own; says where not.
pub(super) fn has_own_file_systems() -> bool {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount"]);
    command.args(["mount", "-t", "tmpfs", "tmpfs"]);
    command.arg(std::env::temp_dir());
    is_possible(command, "a file system of its own")
}

/// A command that runs `binary` where `folder` is a file system of `mib` MiB in memory.
pub(super) fn within(folder: &Path, mib: u32, binary: &Path) -> Command {
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs -o size=\"$1\"m tmpfs \"$2\" && cd \"$2\" && exec \"$3\"";
    command
        .args(["--user", "--map-root-user", "--mount"])
        .args(["sh", "-c", script, "sh"])
        .arg(mib.to_string())
        .args([folder, binary]);
    command
}

/// A command that runs `binary` in a network of its own, with a cable to the switch of this process.
pub(super) fn cabled(index: usize, binary: &Path) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--net", "sh", "-ec", CABLE, "sh", &cable(index)])
        .arg(std::process::id().to_string())
        .arg(host(index).to_string())
        .arg(binary);
    command
}

/// The address of a node with a cable.
pub(super) fn host(index: usize) -> Ipv4Addr {
    let last = u8::try_from(index + 2).expect("a few nodes");
    Ipv4Addr::new(10, 77, 0, last)
}

/// Pulls the cable of a node, or plugs it in.
pub(super) fn plug(index: usize, is_in: bool) {
    let state = if is_in { "up" } else { "down" };
    let mut command = Command::new("ip");
    let done = command.args(["link", "set", &cable(index), state]).status();
    assert!(done.expect("the command ip").success(), "{state} {index}");
}

fn cable(index: usize) -> String {
    format!("cable{index}")
}

/// A command that runs `script` in a network of its own.
fn own_network(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--net"])
        .args(["sh", "-ec", script]);
    command
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn is_possible(mut command: Command, what: &str) -> bool {
    let why = match command.output() {
        Ok(done) if done.status.success() => return true,
        Ok(done) => String::from_utf8_lossy(&done.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    eprintln!("skipped: no process here can have {what}: {why}");
    false
}
