//! The figures of this process as the kernel keeps them, under their usual names. Where
//! there is no `/proc` there are none.

use std::fs;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::param;

use super::exposition::{Family, Kind};
use crate::logs;

/// Writes the families of the process.
pub(super) fn write(text: &mut String) {
    if let Some(stat) = fs::read_to_string("/proc/self/stat")
        .ok()
        .and_then(|line| Stat::parse(&line))
    {
        write_stat(text, stat);
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        // One of them is the handle of this very listing.
        let open = entries.count().saturating_sub(1);
        gauge("process_open_fds", "Open file descriptors.").write(text, open);
    }
    let dropped = Family {
        name: "staffa_log_lines_dropped_total",
        kind: Kind::Counter,
        help: "Log lines that were dropped because their reader was too slow.",
    };
    dropped.write(text, logs::dropped_lines());
}

fn write_stat(text: &mut String, stat: Stat) {
    let resident = stat.resident_pages * param::page_size() as u64;
    gauge("process_resident_memory_bytes", "Resident memory in bytes.").write(text, resident);
    gauge("process_threads", "Threads of the process.").write(text, stat.threads);
    let cpu = Family {
        name: "process_cpu_seconds_total",
        kind: Kind::Counter,
        help: "User and system CPU time spent in seconds.",
    };
    cpu.write(text, seconds(stat.cpu_ticks).as_secs_f64());
    if let Some(boot) = boot_time() {
        let started = boot + seconds(stat.start_ticks);
        let help = "Start of the process in seconds since 1970.";
        gauge("process_start_time_seconds", help).write(text, started.as_secs_f64());
    }
}

const fn gauge<'a>(name: &'a str, help: &'a str) -> Family<'a> {
    Family {
        name,
        kind: Kind::Gauge,
        help,
    }
}

/// The part of `/proc/self/stat` that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    start_ticks: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(line: &str) -> Option<Self> {
        // The program's name comes second and may itself hold spaces and parentheses.
        let (_, rest) = line.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // proc(5) numbers them from one, and the first after the name is the third.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            resident_pages: field(24)?,
        })
    }
}

fn seconds(ticks: u64) -> Duration {
    Duration::from_millis(ticks.saturating_mul(1000) / param::clock_ticks_per_second().max(1))
}

/// When the machine was started, since 1970. Read once: the kernel recomputes it from a
/// clock that may be set, and the start of a process must not move.
fn boot_time() -> Option<Duration> {
    static BOOT: OnceLock<Option<Duration>> = OnceLock::new();
    *BOOT.get_or_init(|| {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
        seconds.trim().parse().ok().map(Duration::from_secs)
    })
}

#[cfg(test)]
mod tests {
    use super::Stat;

    #[test]
    fn a_name_with_spaces_and_parentheses_shifts_nothing() {
        let line = "7 (a) b (c) S 1 7 7 0 -1 4194560 3 0 0 0 250 50 0 0 20 0 12 0 9000 800 640 1";
        let expected = Stat {
            cpu_ticks: 300,
            threads: 12,
            start_ticks: 9000,
            resident_pages: 640,
        };
        assert_eq!(Stat::parse(line), Some(expected));
    }

    #[test]
    fn a_line_cut_short_gives_nothing() {
        assert_eq!(Stat::parse("7 (staffa) S 1 7 7"), None);
        assert_eq!(Stat::parse(""), None);
    }
}
