#!/usr/bin/env python3
"""Records what ovs-ofctl and ovs-vswitchd say to each other: record.py SOCKET-OF-BRIDGE > frames.txt

Needs a bridge with ports 1 and 2 on the dummy datapath, as tests/common/mod.rs makes it. Each command runs through a
proxy; every frame of at most LIMIT bytes is written once, after the command that made it.
"""

import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading

LIMIT = 1000
FLOW = (
    "table=3,priority=7,cookie=0x1234,reg0=0x5/0xff,reg1=0x7,tcp,nw_src=10.0.0.0/8,tp_dst=80,dl_vlan=5,"
    "ct_state=+new-est+trk,metadata=0x5,tun_id=0x77,tcp_flags=+syn-ack,tun_metadata0=5,"
    "actions=move:NXM_NX_REG1[]->NXM_NX_REG2[],set_field:5->tun_metadata0,set_field:5/0xff->tun_metadata0,"
    "delete_field:tun_metadata0,load:5->reg0[0..3],ct(commit,zone=5,table=6,"
    "nat(src=10.0.0.1-10.0.0.9:100-200,random),exec(set_field:5->ct_mark)),controller(userdata=01.02,max_len=100,id=3)"
)
LEARN = (
    "priority=8,actions=learn(table=5,idle_timeout=5,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:5->NXM_NX_REG0[],"
    "output:NXM_OF_IN_PORT[]),note:01.02.03,clone(output:1),check_pkt_larger(1500)->reg0[5],push:reg0[],pop:reg1[],"
    "multipath(symmetric_l4,0,modulo_n,16,0,reg0[]),bundle(eth_src,0,hrw,ofport,members:1,2),ct_clear,"
    "resubmit(1,5),output(port=1,max_len=100),output:NXM_NX_REG0[0..15],exit"
)
GROUP = (
    "group_id=1,type=select,selection_method=hash,fields(ip_src,ip_dst=255.255.255.0),"
    "bucket=weight:5,actions=output:1,bucket=bucket_id:7,actions=output:2"
)
COMMANDS = [
    ["add-tlv-map", "SWITCH", "{class=0xffff,type=0,len=8}->tun_metadata0"],
    ["dump-tlv-map", "SWITCH"],
    ["add-flow", "SWITCH", FLOW],
    ["add-flow", "SWITCH", LEARN],
    ["--bundle", "add-flow", "SWITCH", "table=1,send_flow_rem,idle_timeout=60,priority=5,in_port=1,actions=output:2"],
    ["dump-flows", "SWITCH"],
    ["dump-aggregate", "SWITCH"],
    ["add-group", "SWITCH", GROUP],
    ["dump-groups", "SWITCH"],
    ["dump-group-stats", "SWITCH"],
    ["dump-group-features", "SWITCH"],
    ["add-meter", "SWITCH", "meter=1,kbps,burst,stats,band=type=drop,rate=100,burst_size=50"],
    ["dump-meters", "SWITCH"],
    ["meter-stats", "SWITCH"],
    ["meter-features", "SWITCH"],
    ["dump-ports-desc", "SWITCH"],
    ["packet-out", "SWITCH", "in_port=1,packet=ffffffffffff0011223344550806,metadata=5,actions=output:2"],
    ["ct-flush", "SWITCH", "zone=5", "ct_nw_src=10.0.0.1,ct_nw_proto=6,ct_tp_src=5"],
    ["add-flow", "SWITCH", "table=1,actions=group:77"],
    ["del-flows", "SWITCH", "table=1"],
]


def pump(source, sink, frames):
    data = b""
    while chunk := source.recv(65536):
        sink.sendall(chunk)
        data += chunk
        while len(data) >= 8 and len(data) >= (length := struct.unpack(">H", data[2:4])[0]):
            frames.append(data[:length])
            data = data[length:]


def serve(listener, target, frames):
    while True:
        client, _ = listener.accept()
        switch = socket.socket(socket.AF_UNIX)
        switch.connect(target)
        for ends in ((client, switch), (switch, client)):
            threading.Thread(target=pump, args=(*ends, frames), daemon=True).start()


def main():
    frames, seen = [], set()
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "proxy")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(8)
        threading.Thread(target=serve, args=(listener, sys.argv[1], frames), daemon=True).start()
        for command in COMMANDS:
            words = [word.replace("SWITCH", f"unix:{path}") for word in command]
            subprocess.run(["ovs-ofctl", "-O", "OpenFlow15", "--timeout=9", *words], capture_output=True, check=False)
            print("#", "ovs-ofctl -O OpenFlow15", *command)
            for frame in frames:
                kind = frame[:4] + frame[8:]
                if len(frame) <= LIMIT and kind not in seen:
                    seen.add(kind)
                    print(frame.hex())
            frames.clear()


main()
