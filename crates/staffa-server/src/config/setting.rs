//! What a setting is: one name in three places, a kind of value, a default. Which settings
//! there are stands in the table.

use crate::config::machine::Machine;

/// One thing that a user may set.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The dotted name, which is also the key in a file.
    pub(crate) name: &'static str,
    /// What values it takes.
    pub(crate) kind: Kind,
    /// What holds when nobody sets it.
    pub(crate) default: DefaultValue,
    /// What it does, for a person.
    pub(crate) about: &'static str,
    /// The version that brought it.
    pub(crate) since: &'static str,
}

/// What values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An IP address and a port.
    Address,
    /// A file or folder.
    Path,
    /// Which events are logged.
    LogFilter,
    /// Any text that is never shown.
    Secret,
    /// The engine, by name or by the URL of its server.
    Storage,
    /// `true` or `false`.
    Flag,
    /// A whole number within bounds.
    Count {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// A number of bytes, at least this many.
    Bytes {
        /// The fewest.
        min: u64,
    },
    /// A time span longer than nothing.
    Duration,
    /// One of a few words.
    Choice(&'static [&'static str]),
}

/// What holds when nobody sets a setting.
#[derive(Debug)]
pub(crate) enum DefaultValue {
    /// Nothing: what it controls is off, or follows from other settings.
    Unset,
    /// This text, read like any other.
    Text(&'static str),
    /// A text that depends on the machine.
    Machine(fn(&Machine) -> String),
}

impl Setting {
    /// The long flag, without its dashes.
    pub(crate) fn flag(&self) -> String {
        self.name.replace(['.', '_'], "-")
    }

    /// The environment variable.
    pub(crate) fn variable(&self) -> String {
        format!(
            "STAFFA_{}",
            self.name.replace('.', "_").to_ascii_uppercase()
        )
    }

    /// What stands for the value in a usage text.
    pub(crate) fn placeholder(&self) -> String {
        match self.kind {
            Kind::Address => "ADDRESS".to_owned(),
            Kind::Path => "PATH".to_owned(),
            Kind::LogFilter => "LEVEL".to_owned(),
            Kind::Secret => "SECRET".to_owned(),
            Kind::Storage => "ENGINE".to_owned(),
            Kind::Flag => "BOOL".to_owned(),
            Kind::Count { .. } => "NUMBER".to_owned(),
            Kind::Bytes { .. } => "SIZE".to_owned(),
            Kind::Duration => "TIME".to_owned(),
            Kind::Choice(words) => words.join("|"),
        }
    }

    /// The default as text, where there is one.
    pub(crate) fn default_text(&self, machine: &Machine) -> Option<String> {
        match self.default {
            DefaultValue::Unset => None,
            DefaultValue::Text(text) => Some(text.to_owned()),
            DefaultValue::Machine(compute) => Some(compute(machine)),
        }
    }
}
