//! SIGINT and SIGTERM: the first ends the work in order, the second ends the process at once.

use braid_core::{Error, Result};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// A request to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Stop {
    /// What a shell reports for a process that the signal ended.
    pub(crate) fn exit_status(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

/// Both signals, watched from the moment this is made: none is missed.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Stream,
    terminate: Stream,
}

impl Signals {
    /// # Errors
    /// `Internal` when the process may not watch signals.
    pub(crate) fn watch() -> Result<Self> {
        let register = |kind| {
            signal(kind).map_err(|error| Error::internal("cannot watch signals").with_source(error))
        };
        Ok(Self {
            interrupt: register(SignalKind::interrupt())?,
            terminate: register(SignalKind::terminate())?,
        })
    }

    /// Resolves at the first signal. From then on the next one ends the process: everything that
    /// was acknowledged is durable, so nothing is lost by it.
    pub(crate) async fn stop(mut self) -> Stop {
        let first = self.next().await;
        tokio::spawn(async move {
            let second = self.next().await;
            std::process::exit(second.exit_status().into());
        });
        first
    }

    async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.interrupt.recv() => Stop::Interrupt,
            _ = self.terminate.recv() => Stop::Terminate,
        }
    }
}
