//! The watched engine's state and gauges, asked for whenever the figures are shown.

use staffa_domain::ports::{EngineMonitor, EngineState};

use super::exposition::{Family, Kind};

/// Writes the families of an engine.
pub(super) fn write(text: &mut String, engine: &dyn EngineMonitor) {
    write_state(text, engine.state());
    for gauge in engine.gauges() {
        let name = format!("staffa_engine_{}", gauge.name);
        let family = Family {
            name: &name,
            kind: kind_of(gauge.name),
            help: "A figure of the storage engine.",
        };
        family.write(text, Number(gauge.value));
    }
}

fn write_state(text: &mut String, state: EngineState) {
    let is = |other| u8::from(state == other);
    let family = Family {
        name: "staffa_engine_state",
        kind: Kind::Gauge,
        help: "One for the state the storage engine is in, zero for the others.",
    };
    let samples = [
        ("ready", is(EngineState::Ready)),
        ("reopening", is(EngineState::Reopening)),
        ("full", is(EngineState::Full)),
        ("closed", is(EngineState::Closed)),
    ];
    family.write_by(text, "state", &samples);
}

/// By convention only what never falls is called a total.
fn kind_of(name: &str) -> Kind {
    if name.ends_with("_total") {
        Kind::Counter
    } else {
        Kind::Gauge
    }
}

/// A number as the text format spells it.
struct Number(f64);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            f64::INFINITY => f.write_str("+Inf"),
            f64::NEG_INFINITY => f.write_str("-Inf"),
            value => write!(f, "{value}"),
        }
    }
}
