//! One connection: between the frames of a guest and the bytes of a service.

use std::time::Duration;

use responder::tcp::{Connection, Phase, Segment};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// How long a guest may take to end a connection that the service has ended.
const LINGER: Duration = Duration::from_secs(5);

/// What is carried at once, in bytes.
const CHUNK: usize = 2048;

/// Where frames for a guest go.
pub(super) trait Wire: Send {
    /// Sends a frame. Whether more can be sent.
    fn send(&self, frame: Vec<u8>) -> impl Future<Output = bool> + Send;
}

/// Carries a connection until it is over. What has come in and cannot be passed on yet is not acknowledged beyond the
/// window: who sends more than the service takes waits.
pub(super) async fn carry(
    mut connection: Connection,
    segments: &mut mpsc::Receiver<Vec<u8>>,
    service: DuplexStream,
    wire: impl Wire,
    epoch: Instant,
) {
    let (mut said, mut heard) = tokio::io::split(service);
    let mut inward = Vec::new();
    let (mut is_heard_out, mut leaves_at) = (false, None);
    let mut buffer = vec![0; CHUNK];
    loop {
        if inward.is_empty() {
            inward = connection.receive(CHUNK);
        }
        let now = epoch.elapsed();
        for frame in connection.frames(now) {
            if !wire.send(frame).await {
                return;
            }
        }
        // Asked after frames were: time alone can have ended it.
        let phase = connection.phase();
        if phase == Phase::Over {
            return;
        }
        if phase == Phase::HeardAll && inward.is_empty() && !is_heard_out {
            is_heard_out = true;
            heard.shutdown().await.ok();
        }
        let room = connection.room().min(CHUNK);
        let due = connection.idle(now).map(|idle| epoch + now + idle);
        let wake = [due, leaves_at].into_iter().flatten().min();
        tokio::select! {
            segment = segments.recv() => match segment.as_deref().map(Segment::parse) {
                Some(Some(segment)) => connection.on_segment(&segment, epoch.elapsed()),
                Some(None) => {}
                None => return,
            },
            () = sleep_until(wake.unwrap_or(Instant::now())), if wake.is_some() => {
                if leaves_at.is_some_and(|leaves_at| leaves_at <= Instant::now()) {
                    connection.abort();
                }
            }
            taken = heard.write(&inward), if !inward.is_empty() => match taken {
                Ok(size) if size > 0 => drop(inward.drain(..size)),
                // Nobody listens any more.
                _ => inward.clear(),
            },
            size = said.read(buffer.get_mut(..room).unwrap_or_default()), if room > 0 && leaves_at.is_none() => {
                match size {
                    Ok(size) if size > 0 => {
                        connection.send(buffer.get(..size).unwrap_or_default());
                    }
                    _ => {
                        connection.finish();
                        leaves_at = Some(Instant::now() + LINGER);
                    }
                }
            }
        }
    }
}
