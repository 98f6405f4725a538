use super::*;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[track_caller]
fn assert_holds(network: &str, inside: &[&str], outside: &[&str]) {
    let parsed: Network = network.parse().unwrap();
    for text in inside {
        assert!(parsed.contains(address(text)), "{text} in {network}");
    }
    for text in outside {
        assert!(!parsed.contains(address(text)), "{text} in {network}");
    }
}

#[test]
fn a_network_holds_exactly_the_addresses_of_its_prefix() {
    assert_holds(
        "10.0.0.0/8",
        &["10.0.0.0", "10.1.2.3", "10.255.255.255"],
        &["9.255.255.255", "11.0.0.0", "::", "a00::", "::10.0.0.1"],
    );
    assert_holds(
        "192.0.2.128/25",
        &["192.0.2.128", "192.0.2.255"],
        &["192.0.2.127", "192.0.3.0"],
    );
    assert_holds(
        "2001:db8::/33",
        &["2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"],
        &["2001:db8:8000::", "2001:db7:ffff::", "32.1.13.184"],
    );
}

#[test]
fn a_bare_address_is_a_network_of_one() {
    for (text, shown) in [("192.0.2.1", "192.0.2.1/32"), ("::1", "::1/128")] {
        let network: Network = text.parse().unwrap();
        assert_eq!(network.to_string(), shown);
        assert_eq!(shown.parse(), Ok(network));
    }
    assert_holds("192.0.2.1", &["192.0.2.1"], &["192.0.2.0", "192.0.2.2"]);
    assert_holds("::1", &["::1"], &["::", "::2", "0.0.0.1"]);
}

#[test]
fn a_prefix_of_no_bits_holds_its_whole_family_and_no_other() {
    assert_holds("0.0.0.0/0", &["0.0.0.0", "255.255.255.255"], &["::", "::1"]);
    assert_holds(
        "::/0",
        &["::", "ffff::", "::10.0.0.1"],
        &["0.0.0.0", "10.0.0.1", "::ffff:10.0.0.1"],
    );
}

#[test]
fn a_mapped_address_is_judged_as_ipv4_on_both_sides() {
    assert_holds("10.0.0.0/8", &["::ffff:10.1.2.3"], &["::ffff:11.0.0.1"]);
    assert_holds(
        "::ffff:10.0.0.0/104",
        &["10.1.2.3", "::ffff:a01:203"],
        &["11.0.0.1", "::a01:203"],
    );
    for (mapped, plain) in [
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:10.0.0.1", "10.0.0.1/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
    ] {
        let network: Network = mapped.parse().unwrap();
        assert_eq!(
            (network, &*network.to_string()),
            (plain.parse().unwrap(), plain)
        );
    }
}

#[test]
fn every_prefix_clears_exactly_the_bits_behind_it() {
    for bits in 0..=32 {
        let ones = truncated(address("255.255.255.255"), bits);
        let text = format!("{ones}/{bits}");
        assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        let IpAddr::V4(ones) = ones else { panic!() };
        assert_eq!(ones.to_bits().count_ones(), u32::from(bits));
        assert_eq!(ones.to_bits().leading_ones(), u32::from(bits));
    }
    for bits in 0..=128 {
        let ones = truncated(address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), bits);
        let text = format!("{ones}/{bits}");
        assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        let IpAddr::V6(ones) = ones else { panic!() };
        assert_eq!(ones.to_bits().count_ones(), u32::from(bits));
        assert_eq!(ones.to_bits().leading_ones(), u32::from(bits));
    }
}

#[test]
fn what_is_no_address_is_refused_with_an_example() {
    for text in [
        "",
        "/",
        "/8",
        "localhost",
        "10.0.0.0.0/8",
        "10/8",
        "10.0/16",
        "010.0.0.0/8",
        "0x0a.0.0.0",
        "10.0.0.0 /8",
        " 10.0.0.0/8",
        "*",
        "fe80::1%eth0",
        "[::1]",
        "::1:::",
        "127.0.0.1:80",
        "10.0.0.0-10.0.0.9",
    ] {
        assert_eq!(text.parse::<Network>(), Err(NetworkError::Form), "{text}");
    }
    assert!(NetworkError::Form.to_string().contains("10.0.0.0/8"));
}

#[test]
fn a_prefix_beyond_the_address_or_written_oddly_is_refused_with_its_range() {
    for prefix in [
        "",
        " 8",
        "8 ",
        "+8",
        "-1",
        "08",
        "00",
        "33",
        "256",
        "8/8",
        "255.0.0.0",
        "\u{668}",
    ] {
        let refused = format!("10.0.0.0/{prefix}").parse::<Network>();
        assert_eq!(
            refused,
            Err(NetworkError::Prefix { bits_max: 32 }),
            "{prefix}"
        );
    }
    for prefix in ["129", "0128", "1000"] {
        let refused = format!("::/{prefix}").parse::<Network>();
        assert_eq!(
            refused,
            Err(NetworkError::Prefix { bits_max: 128 }),
            "{prefix}"
        );
    }
    let error = "10.0.0.0/33".parse::<Network>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the prefix length must be a whole number from 0 to 32"
    );
}

#[test]
fn bits_behind_the_prefix_are_refused_with_the_network_that_would_be() {
    for (text, would_be) in [
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("192.0.2.129/31", "192.0.2.128/31"),
        ("0.0.0.1/0", "0.0.0.0/0"),
        ("2001:db8::1/64", "2001:db8::/64"),
        ("::1/127", "::/127"),
        ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
        ("::ffff:0:0/95", "::fffe:0:0/95"),
    ] {
        let network = would_be.parse().unwrap();
        let error = text.parse::<Network>().unwrap_err();
        assert_eq!(error, NetworkError::HostBits { network }, "{text}");
        assert!(error.to_string().ends_with(would_be), "{error}");
    }
}

#[test]
fn a_list_holds_what_any_of_its_networks_holds() {
    let networks: Networks = "10.0.0.0/8, ::1,192.0.2.1 ,10.0.0.0/8".parse().unwrap();
    for text in ["10.9.9.9", "::1", "192.0.2.1", "::ffff:192.0.2.1"] {
        assert!(networks.contains(address(text)), "{text}");
    }
    for text in ["11.0.0.0", "::2", "192.0.2.2"] {
        assert!(!networks.contains(address(text)), "{text}");
    }
    assert!(!networks.is_empty());
}

#[test]
fn a_user_of_the_system_is_a_key_like_no_address() {
    let key = AddressKey::of_user(1_000);
    assert_eq!(key.to_string(), "user 1000");
    assert_ne!(key, AddressKey::of_user(1_001));
    assert_ne!(key, AddressKey::from(address("0.0.3.232")));
}

#[test]
fn an_empty_list_holds_nobody() {
    for text in ["", "  "] {
        let networks: Networks = text.parse().unwrap();
        assert!(networks.is_empty() && !networks.contains(address("127.0.0.1")));
    }
}

#[test]
fn a_list_with_a_bad_entry_is_refused_by_its_number() {
    for (text, entry) in [
        ("10.0.0.0/8, 10.1.2.3/8", 2),
        ("10.0.0.0/8,", 2),
        (",", 1),
        ("10.0.0.0/8 ::1", 1),
        ("::1;10.0.0.1", 1),
    ] {
        match text.parse::<Networks>() {
            Err(NetworksError::Entry { number, .. }) => assert_eq!(number, entry),
            other => panic!("{text}: {other:?}"),
        }
    }
    assert_eq!(
        "::1, 10.1.2.3/8"
            .parse::<Networks>()
            .unwrap_err()
            .to_string(),
        "number 2 of them: bits are set behind the prefix; the network would be 10.0.0.0/8"
    );
    let long = "é\u{202e}".repeat(1_000).parse::<Networks>();
    assert!(long.unwrap_err().to_string().len() < 512);
}

#[test]
fn a_list_at_the_bound_passes_and_one_network_more_is_refused() {
    let list = |count| vec!["10.0.0.0/8"; count].join(",");
    assert!(list(NETWORKS_MAX).parse::<Networks>().is_ok());
    assert_eq!(
        list(NETWORKS_MAX + 1).parse::<Networks>(),
        Err(NetworksError::TooMany)
    );
}

#[test]
fn addresses_of_one_64_share_a_key_and_others_do_not() {
    let key = |text| AddressKey::from(address(text));
    assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:ffff:ffff:ffff"));
    assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
    assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
    assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    assert_ne!(key("::ffff:192.0.2.1"), key("::ffff:192.0.2.2"));
    assert_ne!(key("0.0.0.0"), key("::"));
}

#[test]
fn an_address_of_nat64_counts_by_the_ipv4_address_inside() {
    let key = |text| AddressKey::from(address(text));
    assert_eq!(key("64:ff9b::192.0.2.1"), key("192.0.2.1"));
    assert_ne!(key("64:ff9b::192.0.2.1"), key("64:ff9b::192.0.2.2"));
    assert_eq!(key("64:ff9b::c000:201").to_string(), "192.0.2.1");
    // RFC 8215: what stands below another prefix is addresses like any other.
    assert_eq!(key("64:ff9b:1::192.0.2.1"), key("64:ff9b:1::192.0.2.2"));
    assert_ne!(key("64:ff9b:0:0:0:1:c000:201"), key("192.0.2.1"));
}

#[test]
fn a_key_shows_what_it_counts() {
    for (text, shown) in [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
    ] {
        assert_eq!(AddressKey::from(address(text)).to_string(), shown);
    }
}
