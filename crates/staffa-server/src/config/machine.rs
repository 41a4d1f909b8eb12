//! What the machine offers, as far as defaults depend on it.

use std::fs;
use std::thread::available_parallelism;

/// The fewest bytes that are given to the engine by default.
const ENGINE_BYTES_MIN: u64 = 128 << 20;
/// The fewest bytes that bodies may fill by default.
const BODIES_BYTES_MIN: u64 = 64 << 20;

/// Cores and memory that this process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Machine {
    /// Cores.
    pub(crate) cores: u64,
    /// Bytes of memory: of the machine, or of the container where that has fewer.
    pub(crate) memory_bytes: u64,
}

impl Machine {
    /// Looks at this machine.
    pub(crate) fn detect() -> Self {
        let cores = available_parallelism().map_or(1, |cores| cores.get() as u64);
        let info = rustix::system::sysinfo();
        // The fields have the width of a C long, which is 64 bits wherever Staffa runs.
        let memory_bytes = info.totalram.saturating_mul(u64::from(info.mem_unit));
        let memory_bytes = container_bytes().map_or(memory_bytes, |own| own.min(memory_bytes));
        Self {
            cores,
            memory_bytes,
        }
    }

    /// Half of the memory, in whole MiB: the rest is for bodies, batches and connections.
    pub(crate) fn engine_memory(&self) -> String {
        let bytes = (self.memory_bytes / 2).max(ENGINE_BYTES_MIN);
        format!("{}MiB", bytes >> 20)
    }

    /// A quarter of the memory: what they are decoded to needs about as much again.
    pub(crate) fn bodies_memory(&self) -> String {
        let bytes = (self.memory_bytes / 4).max(BODIES_BYTES_MIN);
        format!("{}MiB", bytes >> 20)
    }

    /// As many threads as cores.
    pub(crate) fn threads(&self) -> String {
        self.cores.to_string()
    }

    /// As many readers as cores, but a second one also on a single core.
    pub(crate) fn read_threads(&self) -> String {
        self.cores.max(2).to_string()
    }
}

/// The memory that the container of this process may use.
fn container_bytes() -> Option<u64> {
    let limits = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    limits
        .iter()
        .find_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok())
}
