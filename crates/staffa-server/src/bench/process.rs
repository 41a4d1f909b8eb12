//! What the system says about a process: the time it computed and the memory it took.

use std::fs;

/// The generator itself.
pub(crate) const SELF: &str = "self";

/// Seconds of computing, in user mode and in the system.
pub(crate) fn cpu_seconds(process: &str) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    ticks(&stat).map(|ticks| {
        super::figure::float(ticks) / super::figure::float(rustix::param::clock_ticks_per_second())
    })
}

/// Resident memory now, in bytes.
pub(crate) fn memory(process: &str) -> Option<u64> {
    status(process, "VmRSS:")
}

/// The most resident memory since [`forget_peak`], in bytes.
pub(crate) fn peak_memory(process: &str) -> Option<u64> {
    status(process, "VmHWM:")
}

/// How many threads there are.
pub(crate) fn threads(process: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    line(&status, "Threads:")?.parse().ok()
}

/// Lets the peak begin anew. Where that is not allowed the old one stays.
pub(crate) fn forget_peak(process: &str) -> bool {
    fs::write(format!("/proc/{process}/clear_refs"), "5").is_ok()
}

fn status(process: &str, key: &str) -> Option<u64> {
    field(
        &fs::read_to_string(format!("/proc/{process}/status")).ok()?,
        key,
    )
}

fn field(status: &str, key: &str) -> Option<u64> {
    let kibibytes: u64 = line(status, key)?.strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn line<'a>(status: &'a str, key: &str) -> Option<&'a str> {
    let found = status.lines().find_map(|line| line.strip_prefix(key))?;
    Some(found.trim())
}

fn ticks(stat: &str) -> Option<u64> {
    // The name of the program may hold anything, so counting starts after it.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let user: u64 = fields.nth(11)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::{SELF, cpu_seconds, field, memory, ticks};

    #[test]
    fn a_name_with_spaces_and_brackets_does_no_harm() {
        let stat = "12 (a) b) (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("12"), None);
    }

    #[test]
    fn memory_is_in_bytes() {
        assert_eq!(
            field("Name:\ta\nVmRSS:\t   12 kB\n", "VmRSS:"),
            Some(12_288)
        );
        assert_eq!(field("Name:\ta\n", "VmRSS:"), None);
    }

    #[test]
    fn this_process_is_known() {
        assert!(memory(SELF).unwrap() > 0);
        assert!(cpu_seconds(SELF).is_some());
    }
}
