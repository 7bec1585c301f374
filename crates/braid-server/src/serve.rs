//! Listening and shutting down.

use std::net::SocketAddr;

use braid_core::{Error, ErrorCode, Result};
use tokio::net::TcpListener;

use crate::app::App;

/// Binds `address`. Addresses beyond loopback are refused unless `allow_unauthenticated` is set:
/// this version has no authentication, so whoever reaches the port can read and delete everything.
///
/// # Errors
/// `InvalidRequest` for a refused address, `Unavailable` when it cannot be bound.
pub async fn bind(address: SocketAddr, allow_unauthenticated: bool) -> Result<TcpListener> {
    if !address.ip().is_loopback() && !allow_unauthenticated {
        return Err(Error::invalid(format!(
            "refusing to listen on {address}: it is reachable from other machines and requests are not authenticated"
        ))
        .with_help("listen on 127.0.0.1, or pass --allow-unauthenticated behind a proxy that authenticates"));
    }
    TcpListener::bind(address).await.map_err(|error| {
        Error::new(
            ErrorCode::Unavailable,
            format!("cannot listen on {address}: {error}"),
        )
        .with_help("choose another address with --listen")
        .with_source(error)
    })
}

/// Serves until `stop` resolves; then refuses new requests, finishes those in flight (for at most
/// the configured grace), and stops the engine between two steps of its background work.
///
/// # Errors
/// `Unavailable` when the listener breaks.
pub async fn serve(
    listener: TcpListener,
    app: App,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let router = app.router();
    let (draining, mut drained) = tokio::sync::oneshot::channel();
    let stopping = {
        let app = app.clone();
        async move {
            stop.await;
            tracing::info!("shutting down");
            app.drain();
            let _ = draining.send(());
        }
    };
    let server = axum::serve(listener, router).with_graceful_shutdown(stopping);
    let served = tokio::select! {
        served = server => served,
        () = grace_over(&app, &mut drained) => {
            tracing::warn!("requests in flight were cut off: the shutdown grace is over");
            Ok(())
        }
    };
    app.engine().close().await;
    served.map_err(|error| {
        Error::new(ErrorCode::Unavailable, "the listener broke").with_source(error)
    })
}

/// Resolves when the grace after the start of draining is over; never if draining never starts.
async fn grace_over(app: &App, drained: &mut tokio::sync::oneshot::Receiver<()>) {
    if drained.await.is_err() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(app.options().shutdown_grace).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_loopback_needs_no_flag() {
        for own in ["127.0.0.1:0", "127.8.8.8:0"] {
            let listener = bind(own.parse().unwrap(), false).await.unwrap();
            assert!(listener.local_addr().unwrap().ip().is_loopback());
        }
        for reachable in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:127.0.0.1]:0"] {
            let error = bind(reachable.parse().unwrap(), false).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidRequest, "{reachable}");
            assert!(error.to_string().contains("--allow-unauthenticated"));
        }
        bind("0.0.0.0:0".parse().unwrap(), true).await.unwrap();
    }

    #[tokio::test]
    async fn an_address_in_use_is_named() {
        let first = bind("127.0.0.1:0".parse().unwrap(), false).await.unwrap();
        let address = first.local_addr().unwrap();
        let error = bind(address, false).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::Unavailable);
        assert!(error.message().contains(&address.to_string()), "{error}");
    }
}
