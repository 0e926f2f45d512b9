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

#[cfg(test)]
mod tests {
    use etherparse::{PacketBuilder, PacketBuilderStep, SlicedPacket, TcpHeader, TransportSlice};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::streams::PIPE;

    const GUEST: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const SERVER: [u8; 6] = [2, 0, 0, 0, 0, 2];

    /// A guest's end of a connection, as simple as it can be: nothing is lost on its way.
    struct Guest {
        /// The next byte that it sends.
        sequence: u32,
        /// The next byte that it expects.
        expected: u32,
        to: mpsc::Sender<Vec<u8>>,
        from: Option<mpsc::UnboundedReceiver<Vec<u8>>>,
    }

    /// What a segment brings.
    #[derive(Debug, PartialEq, Eq)]
    enum Heard {
        Bytes(Vec<u8>),
        Acknowledgement,
        End,
        Reset,
    }

    struct Sent(mpsc::UnboundedSender<Vec<u8>>);

    impl Wire for Sent {
        async fn send(&self, frame: Vec<u8>) -> bool {
            self.0.send(frame).is_ok()
        }
    }

    fn segment(sequence: u32) -> PacketBuilderStep<TcpHeader> {
        PacketBuilder::ethernet2(GUEST, SERVER)
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .tcp(1000, 53, sequence, 8192)
    }

    fn written(segment: PacketBuilderStep<TcpHeader>, bytes: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        segment.write(&mut frame, bytes).expect("memory takes everything");
        frame
    }

    impl Guest {
        /// Opens a connection, and gives the service's end of it too.
        async fn connect() -> (Self, DuplexStream, JoinHandle<()>) {
            let (to, mut segments) = mpsc::channel(8);
            let (out, from) = mpsc::unbounded_channel();
            let (near, far) = tokio::io::duplex(PIPE);
            let syn = written(segment(100).syn(), &[]);
            let opened = Connection::open(&Segment::parse(&syn).expect("a segment"), 7, Duration::ZERO);
            let (opened, epoch) = (opened.expect("a connection"), Instant::now());
            let carried =
                tokio::spawn(async move { carry(opened, &mut segments, near, Sent(out), epoch).await });
            let mut guest = Self { sequence: 101, expected: 0, to, from: Some(from) };
            assert_eq!(guest.hear().await, Heard::Acknowledgement, "of the first segment");
            guest.send(|segment| segment, &[]).await;
            (guest, far, carried)
        }

        async fn send(
            &mut self,
            flags: impl FnOnce(PacketBuilderStep<TcpHeader>) -> PacketBuilderStep<TcpHeader>,
            bytes: &[u8],
        ) {
            let frame = written(flags(segment(self.sequence).ack(self.expected)), bytes);
            self.sequence += u32::try_from(bytes.len()).expect("few bytes");
            // A connection that is over hears nothing.
            self.to.send(frame).await.ok();
        }

        async fn hear(&mut self) -> Heard {
            let from = self.from.as_mut().expect("a wire");
            let frame = from.recv().await.expect("a segment");
            let packet = SlicedPacket::from_ethernet(&frame).expect("a packet");
            let Some(TransportSlice::Tcp(tcp)) = packet.transport else { panic!("TCP: {packet:?}") };
            let bytes = tcp.payload().to_vec();
            let length = u32::try_from(bytes.len()).expect("few bytes");
            self.expected = tcp.sequence_number() + length + u32::from(tcp.syn()) + u32::from(tcp.fin());
            match bytes.is_empty() {
                _ if tcp.rst() => Heard::Reset,
                _ if tcp.fin() => Heard::End,
                true => Heard::Acknowledgement,
                false => Heard::Bytes(bytes),
            }
        }

        /// What comes next and is no mere acknowledgement.
        async fn hear_more(&mut self) -> Heard {
            loop {
                match self.hear().await {
                    Heard::Acknowledgement => {}
                    other => return other,
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_are_carried_both_ways_until_both_have_ended() {
        let (mut guest, mut service, carried) = Guest::connect().await;
        guest.send(|segment| segment.psh(), b"question").await;
        let mut heard = [0; 8];
        service.read_exact(&mut heard).await.expect("a guest that has asked");
        assert_eq!(&heard, b"question");
        service.write_all(b"answer").await.expect("a guest that listens");
        assert_eq!(guest.hear_more().await, Heard::Bytes(b"answer".to_vec()));
        guest.send(|segment| segment.fin(), &[]).await;
        guest.sequence += 1;
        assert_eq!(service.read(&mut heard).await.expect("an end"), 0);
        drop(service);
        assert_eq!(guest.hear_more().await, Heard::End);
        guest.send(|segment| segment, &[]).await;
        carried.await.expect("no panic");
    }

    #[tokio::test(start_paused = true)]
    async fn a_guest_that_does_not_end_what_the_service_has_ended_loses_it_in_time() {
        let (mut guest, service, carried) = Guest::connect().await;
        drop(service);
        let ended = Instant::now();
        assert_eq!(guest.hear_more().await, Heard::End);
        guest.send(|segment| segment, &[]).await;
        assert_eq!(guest.hear_more().await, Heard::Reset);
        carried.await.expect("no panic");
        let took = ended.elapsed();
        assert!(took >= LINGER && took < LINGER + Duration::from_secs(1), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_guest_that_falls_silent_loses_its_connection() {
        let (guest, mut service, carried) = Guest::connect().await;
        let mut heard = [0; 1];
        assert_eq!(service.read(&mut heard).await.expect("an end"), 0, "the service hears that it is over");
        carried.await.expect("no panic");
        drop(guest);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_carried_once_the_switch_takes_no_more() {
        let (mut guest, mut service, carried) = Guest::connect().await;
        guest.from = None;
        service.write_all(b"answer").await.expect("a pipe with room");
        carried.await.expect("no panic");
    }
}
