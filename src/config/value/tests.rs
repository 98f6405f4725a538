use super::*;

fn millis(text: &str) -> Option<u64> {
    let duration = duration(text, 10, 3_600_000).ok()?;
    u64::try_from(duration.as_millis()).ok()
}

#[test]
fn a_duration_has_a_unit_and_stays_in_its_range() {
    assert_eq!(millis("250ms"), Some(250));
    assert_eq!(millis("5s"), Some(5_000));
    assert_eq!(millis("30m"), Some(1_800_000));
    assert_eq!(millis("1h"), Some(3_600_000));
    assert_eq!(millis("10ms"), Some(10));
    for wrong in [
        "",
        "5",
        "s",
        "0s",
        "9ms",
        "3600001ms",
        "61m",
        "2h",
        "1d",
        "1.5s",
        "-5s",
        "+5s",
        "5 s",
        " 5s",
        "5S",
        "5sec",
        "5s5s",
        "٥s",
        "99999999999999999999s",
        "18446744073709551615h",
    ] {
        assert_eq!(millis(wrong), None, "{wrong}");
    }
    assert_eq!(
        duration("5", 10, 3_600_000).unwrap_err(),
        "a duration such as 250ms, 5s, 30m or 1h, from 10ms to 1h"
    );
}

#[test]
fn whole_seconds_take_no_part_of_one() {
    assert_eq!(seconds("2000ms", 0, 5_000), Ok(Duration::from_secs(2)));
    assert_eq!(seconds("0s", 0, 5_000), Ok(Duration::ZERO));
    assert_eq!(
        seconds("1500ms", 0, 90_000).unwrap_err(),
        "a duration such as 250ms, 5s, 30m or 1h, whole seconds, from 0s to 90s"
    );
}

#[test]
fn a_size_is_bytes_or_has_a_binary_unit() {
    let size = |text| size::<usize>(text, 1_024, 1 << 30).ok();
    assert_eq!(size("1024"), Some(1_024));
    assert_eq!(size("64KiB"), Some(65_536));
    assert_eq!(size("32MiB"), Some(33_554_432));
    assert_eq!(size("1GiB"), Some(1 << 30));
    for wrong in [
        "",
        "1023",
        "1073741825",
        "2GiB",
        "64K",
        "64KB",
        "64kib",
        "1.5MiB",
        "64 KiB",
        "+4096",
    ] {
        assert_eq!(size(wrong), None, "{wrong}");
    }
    assert_eq!(
        super::size::<usize>("x", 1_024, 1 << 20).unwrap_err(),
        "a size such as 4096, 64KiB or 32MiB, from 1KiB to 1MiB"
    );
}

#[test]
fn a_size_in_kib_is_whole_kib() {
    assert_eq!(size_in_kib("19MiB", 8, 65_536), Ok(19_456));
    assert_eq!(size_in_kib("8KiB", 8, 65_536), Ok(8));
    assert_eq!(
        size_in_kib("8193", 8, 65_536).unwrap_err(),
        "a size in whole KiB, such as 19MiB"
    );
    assert!(size_in_kib("7KiB", 8, 65_536).is_err());
    assert!(size_in_kib("65537KiB", 8, 65_536).is_err());
}

#[test]
fn a_rate_is_a_count_by_the_second_or_the_minute() {
    let rate = |text| {
        rate(text)
            .ok()
            .map(|rate| (rate.count, rate.period.as_secs()))
    };
    assert_eq!(rate("100/s"), Some((100, 1)));
    assert_eq!(rate("10/min"), Some((10, 60)));
    assert_eq!(rate("0"), Some((0, 1)));
    assert_eq!(rate("0/min"), Some((0, 60)));
    assert_eq!(rate("1000000/s"), Some((1_000_000, 1)));
    for wrong in [
        "",
        "100",
        "1000001/s",
        "/s",
        "10/",
        "10/m",
        "10/h",
        "10/ s",
        "-1/s",
        "1/s/s",
    ] {
        assert_eq!(rate(wrong), None, "{wrong}");
    }
    let expected = super::rate("ten/s").unwrap_err();
    assert_eq!(
        expected,
        "a rate such as 100/s or 10/min, to 1000000; 0 turns the limit off"
    );
}

#[test]
fn a_count_is_digits_in_its_range() {
    assert_eq!(count("1", 1, 10), Ok(1_u32));
    assert_eq!(count("10", 1, 10), Ok(10_u32));
    for wrong in [
        "",
        "0",
        "11",
        "+5",
        "-5",
        "5.0",
        "0x5",
        "1e1",
        "99999999999999999999",
    ] {
        let expected = count::<u32>(wrong, 1, 10).unwrap_err();
        assert_eq!(expected, "a whole number from 1 to 10", "{wrong}");
    }
}

#[test]
fn a_switch_is_true_or_false() {
    assert_eq!((switch("true"), switch("1")), (Ok(true), Ok(true)));
    assert_eq!((switch("false"), switch("0")), (Ok(false), Ok(false)));
    for wrong in ["", "TRUE", "yes", "on", "2"] {
        assert_eq!(switch(wrong).unwrap_err(), "true or false", "{wrong}");
    }
}

#[test]
fn a_level_is_one_of_four() {
    assert_eq!(level("error"), Ok(LevelFilter::Error));
    assert_eq!(level("debug"), Ok(LevelFilter::Debug));
    // What others' code says at trace may be a peer's bytes.
    assert_eq!(level("trace").unwrap_err(), "error, warn, info or debug");
    assert!(level("INFO").is_err());
}

#[test]
fn a_path_is_anything_but_nothing() {
    assert_eq!(path("users.db"), Ok(PathBuf::from("users.db")));
    assert_eq!(path("").unwrap_err(), "the path of a file");
}

#[test]
fn a_claim_is_bounded_and_may_be_none() {
    assert_eq!(claim(""), Ok(None));
    let longest = "i".repeat(ISSUER_BYTES_MAX);
    assert_eq!(claim(&longest), Ok(Some(longest.clone())));
    assert_eq!(
        claim(&format!("{longest}i")).unwrap_err(),
        "at most 256 bytes"
    );
}

#[test]
fn a_listener_is_an_address_or_a_unix_path() {
    let show = |text| {
        let listeners = listeners(text).ok()?;
        Some(
            listeners
                .iter()
                .map(Listen::to_string)
                .collect::<Vec<_>>()
                .join(" "),
        )
    };
    assert_eq!(show("127.0.0.1:7420").as_deref(), Some("127.0.0.1:7420"));
    assert_eq!(
        show("[::1]:0, unix:/run/f.sock").as_deref(),
        Some("[::1]:0 unix:/run/f.sock")
    );
    for wrong in [
        "",
        "7420",
        ":7420",
        "127.0.0.1",
        "localhost:7420",
        "::1:7420",
        "127.0.0.1:65536",
        "127.0.0.1:1,",
        "unix:",
        "127.0.0.1:1,127.0.0.1:1",
    ] {
        assert_eq!(show(wrong), None, "{wrong}");
    }
}

#[test]
fn listeners_and_their_paths_are_bounded() {
    let ports = |count: usize| {
        let each: Vec<_> = (1..=count)
            .map(|port| format!("127.0.0.1:{port}"))
            .collect();
        listeners(&each.join(","))
    };
    assert_eq!(
        ports(LISTENERS_MAX).map(|listeners| listeners.len()),
        Ok(LISTENERS_MAX)
    );
    assert_eq!(
        ports(LISTENERS_MAX + 1).unwrap_err(),
        "1 to 16 addresses, each once"
    );
    let longest = format!("unix:{}", "p".repeat(UNIX_PATH_BYTES_MAX));
    assert!(listeners(&longest).is_ok());
    assert!(listeners(&format!("{longest}p")).is_err());
}

#[test]
fn an_origin_is_written_as_browsers_send_it() {
    assert_eq!(origins(""), Ok(Vec::new()));
    for right in [
        "https://example.org",
        "http://localhost:8080",
        "http://[::1]:1",
        "app+x://id",
        "https://a:80",
        "file://",
    ] {
        assert_eq!(origins(right), Ok(vec![right.to_owned()]));
    }
    for wrong in [
        "*",
        "null",
        "example.org",
        "https://",
        "https://example.org/",
        "https://*.org",
        "https://Example.org",
        "HTTPS://example.org",
        "https://a@b",
        "https://a:443",
        "http://a:80",
        "https://a b",
        "https://exämple.org",
        "https://a,",
        "https://a,https://a",
        "://a",
        "1s://a",
    ] {
        assert!(origins(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn origins_are_bounded() {
    let hosts = |count: usize| {
        let each: Vec<_> = (1..=count).map(|host| format!("https://h{host}")).collect();
        origins(&each.join(","))
    };
    assert_eq!(
        hosts(ORIGINS_MAX).map(|origins| origins.len()),
        Ok(ORIGINS_MAX)
    );
    assert_eq!(
        hosts(ORIGINS_MAX + 1).unwrap_err(),
        "at most 64 origins, each once"
    );
}

#[test]
fn a_list_of_networks_is_refused_by_its_bad_entry_however_long() {
    assert_eq!(
        networks("::1, 10.1.2.3/8").unwrap_err(),
        "a list of networks; number 2 of them: bits are set behind the prefix; \
         the network would be 10.0.0.0/8"
    );
    let long = networks(&"x".repeat(10_000)).unwrap_err();
    assert!(long.len() < 256, "{long}");
}

#[test]
fn a_mode_is_three_octal_digits_with_a_zero_before_them_or_without() {
    for (text, read) in [
        ("0660", 0o660),
        ("600", 0o600),
        ("000", 0),
        ("0777", 0o777),
        ("0000", 0),
    ] {
        assert_eq!(mode(text), Ok(read), "{text}");
    }
    for text in ["", "0", "66", "1777", "00660", "0o660", "678", "+60", "rw-"] {
        assert!(mode(text).is_err(), "{text}");
    }
}
