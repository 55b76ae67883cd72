//! The log: one line an event on standard error, as prose or as JSON.
//!
//! **Shapes**: JSON lines have `timestamp`, `level`, `target`, `message` and the event's own fields.
//! **Invariant**: no secrets. Paths and queries of requests are not logged, since some carry tokens, and
//! libraries are held to `info`, since at `trace` some print what passes through them.

use std::panic::PanicHookInfo;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer as _, filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::config::{Log, LogFormat, LogLevel};

/// Installs the log for the whole process.
pub(crate) fn install(config: &Log) {
    let output = match config.format {
        LogFormat::Text => fmt::layer().with_writer(std::io::stderr).with_ansi(false).boxed(),
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed(),
    };
    tracing_subscriber::registry().with(output.with_filter(filter(config.level))).init();
    std::panic::set_hook(Box::new(log_panic));
}

fn filter(level: LogLevel) -> Targets {
    let own = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    Targets::new()
        .with_target("nexus", own)
        // It narrates every rule of every event.
        .with_target("ruma_state_res", own.min(LevelFilter::WARN))
        .with_default(own.min(LevelFilter::INFO))
}

/// A panic is a bug of ours: one error line that says where, in the log's own format.
fn log_panic(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let message =
        text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)");
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(panic.message = message, panic.location = location, "a task panicked");
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn libraries_stay_at_info() {
        let filter = filter(LogLevel::Trace);
        assert!(filter.would_enable("nexus_rooms::send", &Level::TRACE));
        assert!(filter.would_enable("hyper", &Level::INFO) && !filter.would_enable("hyper", &Level::DEBUG));
        let quiet = super::filter(LogLevel::Error);
        assert!(!quiet.would_enable("hyper", &Level::WARN) && quiet.would_enable("nexus", &Level::ERROR));
    }
}
