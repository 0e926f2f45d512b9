//! Filters and security groups by request: rules, members, and what is refused.

use serde_json::{Value, json};

use crate::support::Lab;

/// Two interfaces with a network, one of them with a filter.
async fn filtered() -> Lab {
    let lab = Lab::start().await;
    let client = &lab.client;
    client.post("networks", json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0"})).await.expect_status(201);
    for number in 1..=2 {
        let interface = json!({"uuid": format!("if-{number}"), "network_uuid": "nw-a",
            "mac_address": format!("02:00:00:00:00:0{number}"), "ipv4_address": format!("10.0.0.{number}")});
        client.post("interfaces", interface).await.expect_status(201);
    }
    let leg = json!({"uuid": "if-leg", "mode": "simulated", "network_uuid": "nw-a"});
    client.post("interfaces", leg).await.expect_status(201);
    let filter = json!({"uuid": "fil-a", "interface_uuid": "if-1", "mode": "static"});
    client.post("filters", filter).await.expect_status(201);
    lab
}

#[tokio::test]
async fn rules_of_a_filter_are_added_listed_in_their_order_and_removed() {
    let lab = filtered().await;
    let (client, path) = (&lab.client, "filters/fil-a/static");
    // As clients of OpenVNet 1.0 write them.
    let any = client.post("filters/fil-a/static?protocol=tcp&action=pass&dst_port=0", json!({})).await;
    any.expect_status(201)
        .expect(json!({"protocol": "tcp", "action": "pass", "dst_port": null, "priority": 0}));
    let rule =
        json!({"protocol": "tcp", "action": "conn", "dst_port": "80-90", "src_address": "10.0.0.0/24"});
    client.post(path, rule.clone()).await.expect_status(201).expect(json!({
        "dst_port": "80-90", "src_address": "10.0.0.0/24", "dst_address": null, "direction": null, "log": false}));
    let drop = json!({"protocol": "icmp", "action": "drop", "priority": 1, "icmp_type": 8});
    client.post(path, drop).await.expect_status(201);
    let listed = client.get(path).await.expect_status(200).expect(json!({"total_count": 3}));
    let order: Vec<_> =
        listed.body["items"].as_array().into_iter().flatten().map(|rule| &rule["action"]).collect();
    assert_eq!(order, ["drop", "conn", "pass"]);
    client.get(&format!("{path}?protocol=tcp")).await.expect(json!({"total_count": 2}));

    let same =
        json!({"protocol": "tcp", "action": "drop", "dst_port": "80-90", "src_address": "10.0.0.0/24"});
    client.post(path, same).await.expect_error(409, "RelationAlreadyExists", "112", Some("protocol"));
    let removed = client.delete(&format!("{path}?protocol=tcp")).await.expect_status(200);
    assert_eq!(removed.body[0]["action"], "pass", "the one with no more than that");
    client.delete(&format!("{path}?protocol=tcp")).await.expect_error(
        404,
        "UnknownResource",
        "114",
        Some("protocol"),
    );
    client.put("filters/fil-a", json!({"egress_passthrough": true})).await.expect(json!({
        "egress_passthrough": true, "ingress_passthrough": false}));
    client.put("filters/fil-a", json!({"rules": [rule]})).await.expect_status(200);
    client.get(path).await.expect(json!({"total_count": 1}));
    client.delete("interfaces/if-1").await.expect_status(200);
    client.get("filters/fil-a").await.expect_error(404, "UnknownUUIDResource", "100", Some("uuid"));
}

#[tokio::test]
async fn a_set_of_groups_has_one_key_whoever_is_in_it() {
    let lab = filtered().await;
    let client = &lab.client;
    for group in ["sg-a", "sg-b"] {
        client.post("security_groups", json!({"uuid": group})).await.expect_status(201);
    }
    let join = |interface: &'static str, groups: Value| async move {
        client.put(interface, json!({"security_groups": groups})).await.expect_status(200)
    };
    join("interfaces/if-1", json!(["sg-a", "sg-b"]))
        .await
        .expect(json!({"security_groups": ["sg-a", "sg-b"]}));
    join("interfaces/if-2", json!("sg-b,sg-a")).await.expect(json!({"security_groups": ["sg-a", "sg-b"]}));
    let rules = "security_groups/sg-a/rules";
    let rule = json!({"direction": "ingress", "protocol": "tcp", "port": 80, "remote_group_uuid": "sg-b"});
    client
        .post(rules, rule.clone())
        .await
        .expect_status(201)
        .expect(json!({"port": "80", "remote_address": null}));
    client.post(rules, rule).await.expect_error(409, "RelationAlreadyExists", "112", Some("direction"));
    for uuid in ["sg-a", "sg-b"] {
        let refused = client.delete(&format!("security_groups/{uuid}")).await;
        refused.expect_error(422, "ArgumentError", "110", Some("uuid"));
    }
    join("interfaces/if-1", json!([])).await;
    join("interfaces/if-2", json!([])).await;
    client.delete("security_groups/sg-b").await.expect_error(422, "ArgumentError", "110", Some("uuid"));
    client
        .delete(&format!("{rules}?direction=ingress&protocol=tcp&port=80&remote_group_uuid=sg-b"))
        .await
        .expect_status(200);
    client.delete("security_groups/sg-b").await.expect_status(200);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let lab = filtered().await;
    lab.client.post("security_groups", json!({"uuid": "sg-a"})).await.expect_status(201);
    let revision = lab.revision();
    let rule = |more: Value| {
        let mut rule = json!({"protocol": "tcp", "action": "pass"});
        rule.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        ("filters/fil-a/static", rule)
    };
    let group_rule = |rule: Value| ("security_groups/sg-a/rules", rule);
    let unfit = |field| (422, "ArgumentError", "110", Some(field));
    let unread = |field| (400, "ArgumentError", "110", Some(field));
    let cases = [
        (("filters", json!({"interface_uuid": "if-1"})), (400, "MissingArgument", "111", Some("mode"))),
        (
            ("filters", json!({"interface_uuid": "if-1", "mode": "static"})),
            (409, "RelationAlreadyExists", "112", Some("interface_uuid")),
        ),
        (("filters", json!({"interface_uuid": "if-leg", "mode": "static"})), unfit("interface_uuid")),
        (
            ("filters/fil-a/static", json!({"protocol": "tcp"})),
            (400, "MissingArgument", "111", Some("action")),
        ),
        (rule(json!({"protocol": "sctp"})), unread("protocol")),
        (rule(json!({"action": "allow"})), unread("action")),
        (rule(json!({"dst_port": 70000})), unread("dst_port")),
        (rule(json!({"dst_port": "90-80"})), unread("dst_port")),
        (rule(json!({"dst_port": "1-65534", "src_port": "1-65534"})), unfit("src_port")),
        (rule(json!({"src_address": "10.0.0.1/24"})), unread("src_address")),
        (rule(json!({"src_address": "10.0.0.1", "dst_address": "fd00::1"})), unfit("dst_address")),
        (rule(json!({"protocol": "icmp", "dst_port": 1})), unfit("dst_port")),
        (rule(json!({"icmp_type": 8})), unfit("icmp_type")),
        (rule(json!({"protocol": "icmp", "icmp_code": 8})), unfit("icmp_code")),
        (rule(json!({"protocol": "icmp", "src_address": "fd00::1"})), unfit("src_address")),
        (rule(json!({"protocol": "arp", "action": "conn"})), unfit("action")),
        (group_rule(json!({"protocol": "tcp"})), (400, "MissingArgument", "111", Some("direction"))),
        (group_rule(json!({"direction": "ingress", "protocol": "arp"})), unfit("protocol")),
        (
            group_rule(
                json!({"direction": "ingress", "remote_group_uuid": "sg-a", "remote_address": "10.0.0.1"}),
            ),
            unfit("remote_address"),
        ),
        (
            group_rule(json!({"direction": "ingress", "remote_group_uuid": "sg-none"})),
            (404, "UnknownUUIDResource", "100", Some("remote_group_uuid")),
        ),
    ];
    for ((path, body), (status, error, code, field)) in cases {
        lab.client.post(path, body).await.expect_error(status, error, code, field);
    }
    let join = json!({"security_groups": ["sg-none"]});
    let refused = lab.client.put("interfaces/if-1", join).await;
    refused.expect_error(404, "UnknownUUIDResource", "100", Some("security_groups"));
    for change in [json!({"enable_filtering": true}), json!({"security_groups": ["sg-a"]})] {
        let field = change.as_object().and_then(|change| change.keys().next()).cloned();
        let refused = lab.client.put("interfaces/if-leg", change).await;
        refused.expect_error(422, "ArgumentError", "110", field.as_deref());
    }
    assert_eq!(lab.revision(), revision);
}
