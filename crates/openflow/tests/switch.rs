//! What is sent is what the switch has: every field, every action, groups, meters and events, on a real Open vSwitch.

mod common;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use common::Switch;
use openflow::*;

const MAC: [u8; 6] = [0x02, 0x11, 0x22, 0x33, 0x44, 0x55];
const IPV4: Ipv4Addr = Ipv4Addr::new(10, 1, 2, 3);
const IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x17);

fn m() -> Match {
    Match::new()
}

/// Every field, alone with what it requires, exact and (where it can be) masked.
fn matches() -> Vec<Match> {
    let tracked = || m().ct_state(ct_state::EST | ct_state::TRK, ct_state::EST | ct_state::TRK);
    let mut all = vec![
        m(),
        m().in_port(OfPort(1)),
        m().in_port(OfPort::LOCAL),
        m().with(Field::ActsetOutput, OfPort(2)),
        m().conj_id(7),
        m().pkt_mark(5),
        m().with_masked(Field::PktMark, 5u32, 0xfu32),
        m().metadata(0x1122_3344_5566_7788),
        m().metadata_masked(0x10, 0xf0),
        m().tun_id(0x77),
        m().tun_id_masked(0x7000, 0xf000),
        m().tun_src(IPV4),
        m().tun_dst(IPV4),
        m().tun_ipv6_src(IPV6),
        m().tun_ipv6_dst(IPV6),
        m().with(Field::TunGbpId, 9u16),
        m().with(Field::TunGbpFlags, 1u8),
        m().tun_flags_masked(1, 1),
        m().with(Field::TunMetadata { index: 0, bytes: 8 }, 0x1234_5678_9abc_def0u64),
        m().with_masked(Field::TunMetadata { index: 0, bytes: 8 }, 0x12u64 << 32, 0xffu64 << 32),
        m().with(Field::TunMetadata { index: 3, bytes: 4 }, 5u32),
        m().with(Field::TunMetadata { index: 0, bytes: 8 }, 0u64),
        m().with_masked(Field::TunMetadata { index: 0, bytes: 8 }, 5u64, 0xffu64),
        tracked(),
        m().ct_state(ct_state::NEW | ct_state::TRK, ct_state::NEW | ct_state::EST | ct_state::TRK),
        m().ct_zone(5),
        m().ct_mark(6),
        m().ct_mark_masked(4, 6),
        m().ct_label(0x1234 << 100),
        m().ct_label_masked(1 << 70, 3 << 70),
        tracked().ip().ct_nw_src(IPV4),
        tracked().ip().ct_nw_dst(IPV4),
        tracked().ipv6().ct_ipv6_src(IPV6),
        tracked().ipv6().ct_ipv6_dst(IPV6),
        tracked().ip().ct_nw_proto(6).ct_tp_src(80),
        tracked().ip().ct_nw_proto(17).ct_tp_dst(53),
        m().eth_src(MAC),
        m().eth_src_masked([1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]),
        m().eth_dst(MAC),
        m().eth_dst_masked([0x02, 0, 0, 0, 0, 0], [0xff, 0xff, 0, 0, 0, 0]),
        m().eth_type(0x88cc),
        m().vlan(100),
        m().untagged(),
        m().with_masked(Field::VlanVid, 0x1000u16, 0x1000u16),
        m().vlan(100).with(Field::VlanPcp, 3u8),
        m().with_masked(Field::VlanTci, 0x7064u16, 0xffffu16),
        m().eth_type(0x8847).with(Field::MplsLabel, 1000u32).with(Field::MplsTc, 2u8),
        m().eth_type(0x8847).with(Field::MplsBos, 1u8),
        m().eth_type(0x8847).with(Field::MplsTtl, 9u8),
        m().ip(),
        m().ip().ipv4_src(IPV4),
        m().ip().ipv4_src_masked(Ipv4Addr::new(10, 0, 0, 0), Ipv4Addr::new(255, 0, 0, 0)),
        m().ip().ipv4_dst(IPV4),
        m().ip().ipv4_dst_masked(Ipv4Addr::new(0, 0, 0, 3), Ipv4Addr::new(0, 0, 0, 255)),
        m().ip().ip_proto(47),
        m().ip().ip_ttl(64),
        m().ip().with(Field::IpDscp, 46u8),
        m().ip().with(Field::IpTos, 0xb8u8),
        m().ip().with(Field::IpEcn, 3u8),
        m().ip().with_masked(Field::IpFrag, 0u8, 3u8),
        m().ip().with_masked(Field::IpFrag, 1u8, 1u8),
        m().ip().with_masked(Field::IpFrag, 0u8, 2u8),
        m().ipv6(),
        m().ipv6().ipv6_src(IPV6),
        m().ipv6().ipv6_src_masked(
            Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0),
            Ipv6Addr::new(0xffc0, 0, 0, 0, 0, 0, 0, 0),
        ),
        m().ipv6().ipv6_dst(IPV6),
        m().ipv6().with(Field::Ipv6Label, 0xabcdeu32),
        m().tcp(),
        m().tcp().tcp_src(80),
        m().tcp().with_masked(Field::TcpDst, 0x400u16, 0xfc00u16),
        m().ipv6().tcp().tcp_dst(443),
        m().tcp().tcp_flags(0x02, 0x12),
        m().udp().udp_src(67),
        m().ipv6().udp().udp_dst(547),
        m().sctp().sctp_src(1),
        m().sctp().sctp_dst(2),
        m().icmp(8),
        m().icmp(3).icmp_code(4),
        m().icmpv6(128),
        m().icmpv6(135).icmpv6_code(0).nd_target(IPV6),
        m().icmpv6(135).icmpv6_code(0).nd_sll(MAC),
        m().icmpv6(136).icmpv6_code(0).nd_tll(MAC),
        m().icmpv6(136).icmpv6_code(0).with(Field::NdReserved, 0x4000_0000u32),
        m().icmpv6(136).icmpv6_code(0).with(Field::NdOptionsType, 2u8),
        m().arp(),
        m().arp().arp_op(1),
        m().arp().arp_spa(IPV4),
        m().arp().arp_tpa(IPV4),
        m().arp().arp_sha(MAC),
        m().arp().arp_tha(MAC),
        m().with(Field::Xreg(1), 0x1111_2222_3333_4444u64),
        m().with_masked(Field::Xxreg(1), 1u128 << 100 | 3, 3u128 << 100 | 3),
    ];
    all.extend((0..REGISTERS).map(|register| m().reg(register, 0x100 + u32::from(register))));
    all.extend((0..REGISTERS).map(|register| m().reg_masked(register, 0x10, 0xf0)));
    all
}

fn part(field: Field, offset: u16, bits: u16) -> SubField {
    SubField::new(field, offset, bits)
}

fn ct(ct: Ct) -> Action {
    Action::Ct(Box::new(ct))
}

fn nat(nat: Nat) -> Action {
    ct(Ct { commit: true, table: Some(TableId(9)), nat: Some(nat), ..Ct::default() })
}

/// Every action, with a match that has what it requires.
fn actions() -> Vec<(Match, Action)> {
    let reg = Field::Reg(3);
    let option = Field::TunMetadata { index: 0, bytes: 8 };
    let mut all = vec![
        (m(), Action::output(OfPort(2))),
        (m(), Action::output(OfPort::IN_PORT)),
        (m(), Action::output(OfPort::NORMAL)),
        (m(), Action::Output { port: OfPort::CONTROLLER, max_len: 128 }),
        (m(), Action::OutputReg { source: part(reg, 0, 16), max_len: 0xffff }),
        (m(), Action::OutputReg { source: part(Field::Metadata, 8, 16), max_len: 0xffff }),
        (m(), Action::OutputTrunc { port: OfPort(2), max_len: 100 }),
        (m(), Action::Controller(Controller::default())),
        (m(), Action::Controller(Controller { controller_id: 7, max_len: 60, ..Controller::default() })),
        (m(), Action::Controller(Controller { userdata: vec![1, 2, 3], ..Controller::default() })),
        (
            m(),
            Action::Controller(Controller {
                max_len: 99,
                controller_id: 3,
                reason: PacketInReason::InvalidTtl,
                userdata: (0..40).collect(),
                pause: true,
                meter: Some(MeterId(1)),
            }),
        ),
        (m(), Action::Group(GroupId(1))),
        (m(), Action::Meter(MeterId(1))),
        (m(), Action::SetQueue(4)),
        (m(), Action::set_field(Field::EthDst, MAC)),
        (m(), Action::set_field_masked(Field::EthSrc, [2, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0])),
        (m(), Action::set_field(Field::Metadata, 9u64)),
        (m(), Action::set_field(Field::TunId, 9u64)),
        (m(), Action::set_field(Field::TunDst, IPV4)),
        (m(), Action::set_field(Field::TunIpv6Src, IPV6)),
        (m(), Action::set_field(option, 0x55u64)),
        (m(), Action::set_field(option, 0u64)),
        (m(), Action::set_field(option, u64::MAX)),
        (m(), Action::load(part(option, 32, 32), 7u32)),
        (m(), Action::set_field_masked(option, 0x55u64, 0xffu64)),
        (m(), Action::set_field(Field::PktMark, 3u32)),
        (m(), Action::set_field(Field::Xreg(1), 3u64)),
        (m(), Action::set_field(Field::Xxreg(1), 3u128 << 90)),
        (m(), Action::set_field_masked(Field::Xxreg(1), 3u128 << 90, 3u128 << 90)),
        (m(), Action::set_field(Field::InPortNxm, 0u16)),
        (m(), Action::load(part(reg, 4, 8), 0xabu8)),
        (m().vlan(5), Action::set_field(Field::VlanVid, 0x1064u16)),
        (m().vlan(5), Action::set_field(Field::VlanPcp, 4u8)),
        (m().ip(), Action::set_field(Field::Ipv4Src, IPV4)),
        (m().ip(), Action::set_field(Field::IpTtl, 3u8)),
        (m().ip(), Action::set_field(Field::IpDscp, 3u8)),
        (m().ip(), Action::set_field(Field::IpEcn, 1u8)),
        (m().ipv6(), Action::set_field(Field::Ipv6Dst, IPV6)),
        (m().ipv6(), Action::set_field(Field::Ipv6Label, 7u32)),
        (m().tcp(), Action::set_field(Field::TcpDst, 8080u16)),
        (m().udp(), Action::set_field(Field::UdpSrc, 53u16)),
        (m().icmp(8), Action::set_field(Field::IcmpType, 0u8)),
        (m().icmpv6(135).icmpv6_code(0), Action::set_field(Field::Icmpv6Type, 136u8)),
        (m().icmpv6(136).icmpv6_code(0), Action::set_field(Field::NdTll, MAC)),
        (m().icmpv6(136).icmpv6_code(0), Action::set_field(Field::NdReserved, 0x6000_0000u32)),
        (m().icmpv6(136).icmpv6_code(0), Action::set_field(Field::NdOptionsType, 2u8)),
        (m().arp(), Action::set_field(Field::ArpOp, 2u16)),
        (m().arp(), Action::set_field(Field::ArpSha, MAC)),
        (m().arp(), move_whole(Field::ArpSha, Field::ArpTha)),
        (m(), move_whole(Field::EthSrc, Field::EthDst)),
        (m(), Action::Move { source: part(Field::InPortNxm, 0, 16), destination: part(reg, 16, 16) }),
        (m(), Action::Move { source: part(option, 0, 32), destination: part(reg, 0, 32) }),
        (m(), Action::Move { source: part(Field::Xxreg(0), 64, 32), destination: part(option, 32, 32) }),
        (m(), Action::Push(part(reg, 0, 32))),
        (m(), Action::Pop(part(reg, 0, 32))),
        (m().ipv6(), Action::Push(part(Field::Ipv6Label, 0, 20))),
        (m(), Action::PushVlan(0x8100)),
        (m().vlan(3), Action::PopVlan),
        (m(), Action::PushMpls(0x8847)),
        (m().eth_type(0x8847), Action::PopMpls(0x0800)),
        (m().eth_type(0x8847), Action::DecMplsTtl),
        (m().ip(), Action::DecTtl),
        (m().ip(), Action::DecTtlControllers(vec![1, 2, 3])),
        (m(), Action::resubmit(TableId(7))),
        (m(), Action::Resubmit { port: Some(OfPort(2)), table: None }),
        (m(), Action::Resubmit { port: Some(OfPort::LOCAL), table: Some(TableId(7)) }),
        (
            m().ct_state(ct_state::EST | ct_state::TRK, ct_state::EST | ct_state::TRK).ip(),
            Action::ResubmitCt { port: None, table: Some(TableId(7)) },
        ),
        (m(), Action::CtClear),
        (m(), Action::Conjunction { id: 5, clause: 2, n_clauses: 3 }),
        (m(), Action::Clone(vec![Action::load(part(reg, 0, 32), 5u32), Action::output(OfPort(2))])),
        (m(), Action::CheckPktLarger { destination: part(reg, 5, 1), length: 1500 }),
        (m(), Action::Exit),
        (m(), Action::DeleteField(option)),
        (m().tcp(), Action::FinTimeout { idle: 5, hard: 6 }),
        (m(), Action::Note(vec![1, 2, 3, 4, 5, 0])),
    ];
    all.extend(hashing(reg));
    all.extend(tracking(reg));
    all.extend(learning(reg));
    all
}

fn move_whole(source: Field, destination: Field) -> Action {
    Action::Move { source: SubField::whole(source), destination: SubField::whole(destination) }
}

fn hashing(reg: Field) -> Vec<(Match, Action)> {
    let bundle = |destination, active_backup| {
        Action::Bundle(Bundle {
            active_backup,
            fields: HashFields::EthSrc,
            basis: 3,
            destination,
            members: vec![OfPort(1), OfPort(2)],
        })
    };
    let multipath = Multipath {
        fields: HashFields::SymmetricL3L4,
        basis: 50,
        algorithm: 1,
        max_link: 15,
        argument: 0,
        destination: part(reg, 0, 8),
    };
    vec![
        (m(), Action::Multipath(multipath)),
        (m(), bundle(None, false)),
        (m(), bundle(Some(part(reg, 0, 16)), true)),
    ]
}

fn tracking(reg: Field) -> Vec<(Match, Action)> {
    let source = Some(NatKind::Source);
    let v4 = |last| Some(NatAddresses::V4(IPV4, last));
    let exec = vec![
        Action::set_field(Field::CtMark, 5u32),
        Action::set_field_masked(Field::CtLabel, 1u128 << 64, 1u128 << 64),
        Action::Move { source: part(reg, 0, 32), destination: part(Field::CtLabel, 0, 32) },
    ];
    vec![
        (m().ip(), ct(Ct::default())),
        (m().ip(), ct(Ct { commit: true, force: true, zone: CtZone::Number(77), ..Ct::default() })),
        (
            m().ip(),
            ct(Ct { zone: CtZone::Field(part(reg, 16, 16)), table: Some(TableId(4)), ..Ct::default() }),
        ),
        (m().tcp(), ct(Ct { commit: true, alg: 21, ..Ct::default() })),
        (m().ip(), ct(Ct { commit: true, exec: exec.clone(), ..Ct::default() })),
        (m().ip(), nat(Nat::default())),
        (m().ip(), nat(Nat { kind: source, addresses: v4(None), ..Nat::default() })),
        (
            m().ip(),
            nat(Nat {
                kind: source,
                addresses: v4(Some(Ipv4Addr::new(10, 1, 2, 9))),
                ports: Some((1024, Some(2047))),
                persistent: true,
                choice: NatChoice::Random,
            }),
        ),
        (
            m().ipv6(),
            nat(Nat {
                kind: Some(NatKind::Destination),
                addresses: Some(NatAddresses::V6(IPV6, None)),
                ports: Some((80, None)),
                choice: NatChoice::Hash,
                ..Nat::default()
            }),
        ),
        (
            m().ip(),
            ct(Ct {
                commit: true,
                nat: Some(Nat { kind: source, addresses: v4(None), ..Nat::default() }),
                exec,
                ..Ct::default()
            }),
        ),
    ]
}

fn learning(reg: Field) -> Vec<(Match, Action)> {
    let whole = SubField::whole;
    let specs = vec![
        LearnSpec::Match {
            source: LearnSource::Field(whole(Field::EthSrc)),
            destination: whole(Field::EthDst),
        },
        LearnSpec::Match {
            source: LearnSource::Constant { value: Value(0x0800), bits: 16 },
            destination: whole(Field::EthType),
        },
        LearnSpec::Load {
            source: LearnSource::Constant { value: Value(5), bits: 8 },
            destination: part(reg, 0, 8),
        },
        LearnSpec::Load {
            source: LearnSource::Field(part(Field::InPortNxm, 0, 16)),
            destination: part(reg, 16, 16),
        },
        LearnSpec::Output(part(reg, 16, 16)),
    ];
    let learn = Learn {
        table: TableId(20),
        priority: 9,
        cookie: Cookie(0x99),
        idle_timeout: 60,
        hard_timeout: 600,
        specs,
        ..Learn::default()
    };
    let limit = Some(LearnLimit { flows: 100, result: Some(part(reg, 3, 1)) });
    let limited = Learn { limit, delete_learned: true, send_flow_removed: true, ..learn.clone() };
    let short = Learn { fin_idle_timeout: 2, fin_hard_timeout: 3, limit: None, ..learn.clone() };
    vec![
        (m(), Action::Learn(Box::new(learn))),
        (m(), Action::Learn(Box::new(limited))),
        (m().tcp(), Action::Learn(Box::new(short))),
    ]
}

async fn set_up(connection: &Connection) {
    let mapping = |index, bytes| TlvMapping { class: 0x0102, kind: 7 + bytes, bytes, index };
    let table = TlvTableMod::Add(vec![mapping(0, 8), mapping(3, 4)]);
    connection.send(Message::TlvTableMod(table)).await.expect("options");
    let bands = vec![Band { kind: BandKind::Drop, rate: 10, burst: 5 }];
    let meter = Meter { id: MeterId(1), unit: MeterUnit::Pktps, stats: true, burst: true, bands };
    connection.send(Message::MeterMod(MeterMod::Add(meter))).await.expect("a meter");
    let group = Group { id: GroupId(1), kind: GroupType::All, selection: None, buckets: Vec::new() };
    connection.send(Message::GroupMod(GroupMod::Add(group))).await.expect("a group");
}

fn add_all(flows: &[Flow]) -> Vec<BundleItem> {
    flows.iter().map(|flow| BundleItem::Flow(FlowMod::Add(flow.clone()))).collect()
}

async fn groups(connection: &Connection) -> Vec<Group> {
    let mut found = connection.groups().await.expect("groups");
    found.sort();
    found
}

async fn read(connection: &Connection) -> BTreeSet<Flow> {
    let entries = connection.flows(FlowSelection::default()).await.expect("flows");
    entries.into_iter().map(|entry| entry.flow).collect()
}

/// Sends flows in one bundle to one bridge, and their text with `ovs-ofctl` to another: they read back equal, and both
/// bridges have the same flows.
async fn check(flows: Vec<Flow>) {
    let switch = Switch::start();
    switch.vsctl(&["add-br", "br1", "--", "set", "bridge", "br1", "datapath-type=dummy", "fail-mode=secure"]);
    let (connection, _events) = switch.connect().await;
    let (other, _events) = switch.connect_to("br1").await;
    set_up(&connection).await;
    set_up(&other).await;
    if let Err(error) = connection.bundle(add_all(&flows)).await {
        let item = match &error {
            BundleError::Item { index, .. } => flows[*index].to_string(),
            _ => String::new(),
        };
        panic!("{error}: {item}");
    }
    let wanted: BTreeSet<Flow> = flows.iter().cloned().collect();
    let found = read(&connection).await;
    let lost: Vec<_> = wanted.difference(&found).map(|flow| (flow.to_string(), flow)).collect();
    let new: Vec<_> = found.difference(&wanted).map(|flow| (flow.to_string(), flow)).collect();
    assert!(lost.is_empty() && new.is_empty(), "sent, not found: {lost:?}\nfound, not sent: {new:?}");
    let text: Vec<String> = flows.iter().map(Flow::to_string).collect();
    std::fs::write(switch.path("flows"), text.join("\n")).expect("a file");
    switch.ofctl("br1", &["add-flows"], &[&switch.path("flows")]);
    let (ours, theirs) = (switch.dump("br0"), switch.dump("br1"));
    let differ: Vec<_> = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs).collect();
    assert!(differ.is_empty() && ours.len() == theirs.len(), "{differ:#?}");
}

#[tokio::test]
async fn every_match_reads_back_as_it_was_sent() {
    let flows = matches().into_iter().enumerate().map(|(number, matching)| {
        let priority = u16::try_from(number).expect("few flows") + 1;
        Flow::new(TableId(1), priority, matching, vec![Action::output(OfPort(2))]).with_cookie(Cookie(7))
    });
    check(flows.collect()).await;
}

#[tokio::test]
async fn every_action_reads_back_as_it_was_sent() {
    let flows = actions().into_iter().enumerate().map(|(number, (matching, action))| {
        let priority = u16::try_from(number).expect("few flows") + 1;
        Flow::new(TableId(2), priority, matching, vec![action])
    });
    check(flows.collect()).await;
}

#[tokio::test]
async fn every_instruction_and_timeout_reads_back_as_it_was_sent() {
    let flow = |priority, instructions: Instructions| Flow::new(TableId(3), priority, m(), instructions);
    let full = Instructions {
        apply: vec![Action::Meter(MeterId(1)), Action::output(OfPort(1))],
        clear: true,
        write: vec![Action::set_field(Field::EthDst, MAC), Action::output(OfPort(2))],
        write_metadata: Some((0x50, 0xf0)),
        goto_table: Some(TableId(9)),
    };
    let timed = Flow {
        idle_timeout: 500,
        hard_timeout: 600,
        importance: 7,
        flags: FlowFlags::SEND_FLOW_REMOVED.and(FlowFlags::NO_BYTE_COUNTS),
        ..flow(4, Instructions::drop())
    };
    check(vec![
        flow(1, Instructions::drop()),
        flow(2, Instructions::goto(TableId(5))),
        flow(3, full),
        timed,
        flow(5, Instructions { write_metadata: Some((7, u64::MAX)), ..Instructions::default() }),
    ])
    .await;
}

#[tokio::test]
async fn groups_read_back_as_they_were_sent_and_buckets_come_and_go() {
    let switch = Switch::start();
    let (connection, _events) = switch.connect().await;
    let bucket = |id, port| Bucket::new(BucketId(id), vec![Action::output(OfPort(port))]);
    let weighted = |id, port, weight| Bucket { weight, ..bucket(id, port) };
    let selection = Selection {
        method: "hash".to_owned(),
        parameter: 7,
        fields: vec![(Field::Ipv4Src, 0xffff_ffff), (Field::Ipv4Dst, 0xffff_ff00)],
    };
    let live = Bucket { watch_port: Some(OfPort(1)), ..bucket(1, 1) };
    let group = |id, kind, buckets| Group { id: GroupId(id), kind, selection: None, buckets };
    let mut wanted = vec![
        group(1, GroupType::All, vec![bucket(1, 1), bucket(2, 2)]),
        group(2, GroupType::Select, vec![weighted(0, 1, 5), weighted(9, 2, 6)]),
        group(3, GroupType::Indirect, vec![bucket(0, 1)]),
        group(
            4,
            GroupType::FastFailover,
            vec![live, Bucket { watch_group: Some(GroupId(1)), ..bucket(2, 2) }],
        ),
        Group {
            selection: Some(selection),
            ..group(5, GroupType::Select, vec![weighted(1, 1, 1), weighted(2, 2, 1)])
        },
    ];
    let items = wanted.iter().map(|group| BundleItem::Group(GroupMod::Add(group.clone())));
    connection.bundle(items.collect()).await.expect("groups");
    assert_eq!(groups(&connection).await, wanted);

    let insert = GroupMod::append(&wanted[0], bucket(3, 1));
    let remove = GroupMod::RemoveBucket { group: GroupId(1), place: BucketPlace::At(BucketId(1)) };
    connection.bundle(vec![BundleItem::Group(insert), BundleItem::Group(remove)]).await.expect("buckets");
    wanted[0].buckets = vec![bucket(2, 2), bucket(3, 1)];
    assert_eq!(groups(&connection).await, wanted);

    connection.bundle(vec![BundleItem::Group(GroupMod::Delete(GroupId::ALL))]).await.expect("deletion");
    assert_eq!(groups(&connection).await, []);
}

#[tokio::test]
async fn meters_read_back_as_they_were_sent() {
    let switch = Switch::start();
    let (connection, _events) = switch.connect().await;
    let band = Band { kind: BandKind::Drop, rate: 1000, burst: 50 };
    let meters = vec![
        Meter { id: MeterId(1), unit: MeterUnit::Pktps, stats: true, burst: true, bands: vec![band] },
        Meter { id: MeterId(7), unit: MeterUnit::Kbps, stats: true, burst: true, bands: vec![band] },
    ];
    for meter in &meters {
        connection.send(Message::MeterMod(MeterMod::Add(meter.clone()))).await.expect("a meter");
    }
    let mut found = connection.meters().await.expect("meters");
    found.sort();
    assert_eq!(found, meters);
    let stats = connection.ask(MultipartRequest::MeterStats(MeterId::ALL)).await.expect("counters");
    assert!(matches!(stats.as_slice(), [MultipartReply::MeterStats(stats)] if stats.len() == 2));
    let again = connection.send(Message::MeterMod(MeterMod::Add(meters[0].clone()))).await;
    assert!(
        matches!(again, Err(RequestError::Refused(error)) if error.is("METER_MOD_FAILED", "METER_EXISTS"))
    );
}

#[tokio::test]
async fn the_table_of_tunnel_options_reads_back_as_it_was_set() {
    let switch = Switch::start();
    let (connection, _events) = switch.connect().await;
    let mappings = vec![
        TlvMapping { class: 0xffff, kind: 0, bytes: 8, index: 0 },
        TlvMapping { class: 0x0102, kind: 0x80, bytes: 124, index: 5 },
    ];
    connection.send(Message::TlvTableMod(TlvTableMod::Add(mappings.clone()))).await.expect("options");
    let mut table = connection.tlv_table().await.expect("options");
    table.mappings.sort_by_key(|mapping| mapping.index);
    assert_eq!((table.mappings, table.max_fields), (mappings, 64));
    connection.send(Message::TlvTableMod(TlvTableMod::Clear)).await.expect("no options");
    assert_eq!(connection.tlv_table().await.expect("options").mappings, []);
}

async fn next(events: &mut Events) -> Event {
    tokio::time::timeout(Duration::from_secs(20), events.next())
        .await
        .expect("an event in time")
        .expect("an event")
}

#[tokio::test]
async fn a_packet_in_says_where_it_comes_from_and_carries_its_data() {
    let switch = Switch::start();
    let (connection, mut events) = switch.connect().await;
    let controller = Controller { userdata: vec![9, 8, 7], ..Controller::default() };
    let to_controller =
        vec![Action::load(SubField::whole(Field::Reg(3)), 5u32), Action::Controller(controller)];
    let flow = Flow::new(TableId(0), 1, m().in_port(OfPort(1)), to_controller).with_cookie(Cookie(0xc0ffee));
    connection.bundle(add_all(&[flow])).await.expect("a flow");
    let packet = "02000000000200000000000108060001080006040001000000000001c0000201000000000000c0000202";
    switch.appctl(&["netdev-dummy/receive", "p1", packet]);
    let Event::PacketIn(found) = next(&mut events).await else { panic!("no packet-in") };
    assert_eq!(found.in_port(), Some(OfPort(1)));
    assert_eq!((found.table, found.cookie), (Some(TableId(0)), Some(Cookie(0xc0ffee))));
    assert_eq!(found.userdata, [9, 8, 7]);
    assert_eq!(found.reason, PacketInReason::ApplyAction);
    assert_eq!(found.metadata.get(Field::Reg(3)).map(|term| term.value), Some(5));
    assert!(found.packet.starts_with(&[2, 0, 0, 0, 0, 2, 2 - 2, 0, 0, 0, 0, 1, 8, 6]));
    let back = PacketOut::new(OfPort::CONTROLLER, vec![Action::output(OfPort(2))], found.packet);
    connection.packet_out(back).await.expect("a packet-out");
}

#[tokio::test]
async fn a_port_that_comes_and_goes_is_told() {
    let switch = Switch::start();
    let (connection, mut events) = switch.connect().await;
    switch.add_port("p9", 9);
    let added = loop {
        if let Event::PortStatus(status) = next(&mut events).await {
            break status;
        }
    };
    assert_eq!(
        (added.change, added.port.port, added.port.name.as_str()),
        (PortChange::Added, OfPort(9), "p9")
    );
    let ports = connection.ports().await.expect("ports");
    assert!(
        ports.iter().any(|port| port.port == OfPort(9))
            && ports.iter().any(|port| port.port == OfPort::LOCAL)
    );
    switch.vsctl(&["del-port", "p9"]);
    let gone = loop {
        match next(&mut events).await {
            Event::PortStatus(status) if status.change == PortChange::Deleted => break status,
            _ => {}
        }
    };
    assert_eq!(gone.port.port, OfPort(9));
}

#[tokio::test]
async fn a_flow_that_goes_is_told_with_its_counters() {
    let switch = Switch::start();
    let (connection, mut events) = switch.connect().await;
    let flow = Flow {
        flags: FlowFlags::SEND_FLOW_REMOVED,
        ..Flow::new(TableId(4), 7, m().in_port(OfPort(1)), vec![Action::output(OfPort(2))])
    };
    connection.bundle(add_all(std::slice::from_ref(&flow))).await.expect("a flow");
    connection.send(Message::FlowMod(FlowMod::delete_exactly(&flow))).await.expect("deletion");
    let Event::FlowRemoved(gone) = next(&mut events).await else { panic!("no flow-removed") };
    assert_eq!((gone.table, gone.priority, &gone.matching), (flow.table, flow.priority, &flow.matching));
    assert_eq!((gone.reason, gone.counters.packets), (FlowRemovedReason::Delete, Some(0)));
}

#[tokio::test]
async fn a_flow_monitor_tells_what_others_change() {
    let switch = Switch::start();
    let (watcher, mut events) = switch.connect().await;
    let (changer, _others) = switch.connect().await;
    assert_eq!(watcher.monitor_flows(FlowMonitor::changes(1)).await.expect("a monitor"), []);
    let flow = Flow::new(TableId(4), 7, m().in_port(OfPort(1)), vec![Action::output(OfPort(2))]);
    changer.bundle(add_all(std::slice::from_ref(&flow))).await.expect("a flow");
    let Event::FlowUpdates(updates) = next(&mut events).await else { panic!("no update") };
    assert_eq!(updates, [FlowUpdate::Flow { event: FlowEvent::Added, reason: 0, flow: Box::new(flow) }]);
}

#[tokio::test]
async fn a_bundle_with_a_bad_item_does_nothing_and_names_it() {
    let switch = Switch::start();
    let (connection, _events) = switch.connect().await;
    let good = |priority| Flow::new(TableId(0), priority, m(), vec![Action::output(OfPort(1))]);
    let to_nowhere = Flow::new(TableId(0), 3, m(), vec![Action::Group(GroupId(77))]);
    let without_prerequisite = Flow::new(TableId(0), 3, m().tcp_dst(80), vec![Action::output(OfPort(1))]);
    for bad in [to_nowhere, without_prerequisite] {
        let result = connection.bundle(add_all(&[good(1), good(2), bad, good(4)])).await;
        assert!(matches!(result, Err(BundleError::Item { index: 2, .. })), "{result:?}");
        assert_eq!(read(&connection).await, BTreeSet::new());
    }
    let userdata = vec![0; 70_000];
    let huge = vec![Action::Controller(Controller { userdata, ..Controller::default() })];
    let result = connection.bundle(add_all(&[good(1), Flow::new(TableId(0), 3, m(), huge)])).await;
    assert!(matches!(result, Err(BundleError::Encode { index: 1, .. })), "{result:?}");
    connection.bundle(add_all(&[good(1)])).await.expect("the connection works on");
}

#[tokio::test]
async fn a_bundle_committed_at_once_does_what_the_switch_takes_and_names_what_it_refuses() {
    let switch = Switch::start();
    let (connection, _events) = switch.connect().await;
    let good = |priority| Flow::new(TableId(0), priority, m(), vec![Action::output(OfPort(1))]);
    // Too many for one look at the switch, so that the last ones alone come with the commit.
    let all: Vec<_> = (1..=2500).map(good).collect();
    connection.bundle_at_once(add_all(&all)).await.expect("all flows");
    assert_eq!(read(&connection).await, all.iter().cloned().collect());
    let without_prerequisite = Flow::new(TableId(1), 3, m().tcp_dst(80), vec![Action::output(OfPort(1))]);
    let some = [good(3000), without_prerequisite, good(3001)];
    let result = connection.bundle_at_once(add_all(&some)).await;
    assert!(matches!(result, Err(BundleError::Item { index: 1, .. })), "{result:?}");
    assert_eq!(read(&connection).await, all.into_iter().chain([good(3000), good(3001)]).collect());
}

#[tokio::test]
async fn errors_of_commands_without_reply_name_the_command() {
    let switch = Switch::start();
    let (connection, _events) = switch.connect().await;
    let add = |flow| Message::FlowMod(FlowMod::Add(flow));
    let good = add(Flow::new(TableId(0), 1, m(), vec![Action::output(OfPort(1))]));
    let bad = add(Flow::new(TableId(0), 1, m(), vec![Action::Group(GroupId(5))]));
    let errors = connection.send_all(&[good.clone(), bad, good]).await.expect("an answer");
    assert!(
        matches!(errors.as_slice(), [(1, error)] if error.is("BAD_ACTION", "BAD_OUT_GROUP")),
        "{errors:?}"
    );
}

#[tokio::test]
async fn what_is_posted_is_done_and_what_is_refused_of_it_is_an_event() {
    let switch = Switch::start();
    let (connection, mut events) = switch.connect().await;
    let bands = vec![Band { kind: BandKind::Drop, rate: 10, burst: 5 }];
    let meter = Meter { id: MeterId(1), unit: MeterUnit::Pktps, stats: true, burst: true, bands };
    let metered = Flow::new(TableId(0), 1, m(), vec![Action::Meter(meter.id), Action::output(OfPort(1))]);
    let add = Message::MeterMod(MeterMod::Add(meter.clone()));
    connection.post(&[add.clone(), add]).await.expect("sent");
    let Some(Event::Error(_, error)) = events.next().await else { panic!("no error") };
    assert!(error.is("METER_MOD_FAILED", "METER_EXISTS"), "{error}");
    connection.bundle(add_all(&[metered])).await.expect("the meter is there");
    connection.post(&[Message::MeterMod(MeterMod::Delete(meter.id))]).await.expect("sent");
    assert_eq!(read(&connection).await, BTreeSet::new(), "it takes its flow along");
    connection.post(&[]).await.expect("nothing to send");
    drop(switch);
    let reason = connection.closed().await;
    assert_eq!(connection.post(&[Message::BarrierRequest]).await, Err(RequestError::Closed(reason)));
}

#[tokio::test]
async fn twenty_thousand_flows_go_in_one_bundle_and_read_back() {
    let switch = Switch::start();
    let (connection, _events) = switch.connect().await;
    let flows: Vec<Flow> = (0..20_000u32)
        .map(|number| {
            let matching = m().metadata(u64::from(number % 50)).ip().ipv4_dst(Ipv4Addr::from(number));
            let load = Action::load(SubField::whole(Field::Reg(1)), number);
            Flow::new(TableId(5), 100, matching, vec![load, Action::resubmit(TableId(6))])
        })
        .collect();
    let wanted: BTreeSet<Flow> = flows.iter().cloned().collect();
    let all = add_all(&flows);
    let (bundle, features) = tokio::join!(connection.bundle(all), connection.features());
    bundle.expect("all flows");
    assert!(features.expect("an answer in between").tables > 200);
    assert_eq!(read(&connection).await, wanted);
}

#[tokio::test]
async fn connections_are_forgotten_on_request() {
    let switch = Switch::start();
    let (connection, _events) = switch.connect().await;
    let tuple = CtTuple { source: Some(IPV4.into()), source_port: Some(5), ..CtTuple::default() };
    let flush = CtFlush { ip_proto: 6, zone: Some(5), original: Some(tuple), reply: None };
    connection.send(Message::CtFlush(flush)).await.expect("a flush");
    connection
        .send(Message::CtFlush(CtFlush { zone: Some(7), ..CtFlush::default() }))
        .await
        .expect("a flush");
}

#[tokio::test]
async fn a_switch_that_goes_ends_the_connection_and_its_requests() {
    let switch = Switch::start();
    let (connection, mut events) = switch.connect().await;
    assert_eq!(connection.close_reason(), None);
    drop(switch);
    let reason = connection.closed().await;
    assert!(matches!(reason, CloseReason::Remote | CloseReason::Io(_)), "{reason:?}");
    assert_eq!(connection.barrier().await, Err(RequestError::Closed(reason)));
    while events.next().await.is_some() {}
}
