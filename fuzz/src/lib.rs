//! How libFuzzer runs a target. What the target checks is in `staffa-fuzz`.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::process;
use std::sync::Once;

#[doc(hidden)]
pub use libfuzzer_sys;

/// Makes a program of libFuzzer of a target.
#[macro_export]
macro_rules! target {
    ($name:literal) => {
        use $crate::libfuzzer_sys;
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| $crate::run($name, bytes));
    };
}

thread_local! {
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

static QUIET: Once = Once::new();

/// Runs a target, and ends the process where it panics.
///
/// A panic that the program itself catches is none: the readers of Arrow and Parquet assert what
/// they should check, and the decoders make an error of it. So libFuzzer's hook, which ends the
/// process at any panic, makes way for one that only notes what was said.
pub fn run(name: &str, bytes: &[u8]) {
    QUIET.call_once(|| {
        panic::set_hook(Box::new(|info| {
            LAST.with(|last| last.replace(info.to_string()));
        }));
    });
    let check = check(name);
    if panic::catch_unwind(AssertUnwindSafe(|| check(bytes))).is_err() {
        LAST.with(|last| eprintln!("{}", last.borrow()));
        process::abort();
    }
}

fn check(name: &str) -> fn(&[u8]) {
    let own = staffa_fuzz::TARGETS.iter().find(|target| target.name == name);
    match own {
        Some(target) => target.check,
        None if name == "copy" => staffa_postgres::check_copy,
        None => panic!("there is no target {name}"),
    }
}
