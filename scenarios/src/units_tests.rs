use proptest::prelude::*;

use super::*;

#[test]
fn time_is_exact() {
    for (text, nanos) in [
        ("0s", 0),
        ("0.1s", 100_000_000),
        ("1.5ms", 1_500_000),
        ("500us", 500_000),
        ("5 m", 300_000_000_000),
        ("1h", 3_600_000_000_000),
        ("365d", 31_536_000_000_000_000),
    ] {
        assert_eq!(span(text), Ok(Span::from_nanos(nanos)), "{text}");
    }
}

#[test]
fn what_is_no_time_says_why() {
    for (text, why) in [
        ("300", "the unit is missing: one of ns, us, ms, s, m, h, d"),
        ("5 sec", "`sec` is not a unit: probably `s` is meant"),
        ("5 parsecs", "`parsecs` is not one of the units ns, us, ms, s, m, h, d"),
        ("-5s", "it cannot be negative"),
        ("fast", "this does not begin with a number"),
        ("1.2.3s", "this is not a number"),
        ("0.5ns", "time is counted in whole nanoseconds"),
        ("99999999999999d", "the number is too large"),
        ("9999999999999999999999999999s", "the number has too many digits"),
        ("", "this does not begin with a number"),
    ] {
        assert_eq!(span(text), Err(why.to_string()), "{text}");
    }
}

#[test]
fn settings_take_what_neo4j_takes() {
    assert_eq!(setting_span("10"), Ok(Span::from_secs(10)));
    assert_eq!(setting_span("0"), Ok(Span::ZERO));
    assert_eq!(setting_span("500ms"), Ok(Span::from_millis(500)));
    assert_eq!(setting_bytes("250M"), Ok(Bytes::mib(250)));
    assert_eq!(setting_bytes("2g"), Ok(Bytes::gib(2)));
    assert_eq!(setting_bytes("1024"), Ok(Bytes::kib(1)));
    assert_eq!(setting_bytes("1MB"), Ok(Bytes(1_000_000)));
    assert!(bytes("250M").is_err());
}

#[test]
fn sizes_bandwidths_and_rates() {
    assert_eq!(bytes("30.5GiB"), Ok(Bytes::mib(31_232)));
    assert_eq!(bytes("300GB"), Ok(Bytes(300_000_000_000)));
    assert_eq!(bandwidth("1Gbit/s"), Ok(Bytes(125_000_000)));
    assert_eq!(bandwidth("100MB/s"), Ok(Bytes(100_000_000)));
    assert_eq!(rate("200/s"), Ok(Rate::per_second(200)));
    assert_eq!(rate("30/m"), Ok(Rate::from_micros(500_000)));
    assert_eq!(rate("0.25/s"), Ok(Rate::from_micros(250_000)));
    assert!(rate("200").unwrap_err().starts_with("the unit is missing"));
}

#[test]
fn ratios_keep_their_form() {
    assert_eq!(ratio("1/64"), Ok(Ratio::new(1, 64)));
    assert_eq!(ratio("2/4"), Ok(Ratio::new(2, 4)));
    assert_eq!(ratio("0.50"), Ok(Ratio::new(1, 2)));
    assert_eq!(ratio("2.0"), Ok(Ratio::new(2, 1)));
    assert_eq!(ratio("0"), Ok(Ratio::new(0, 1)));
    assert!(ratio("1/0").is_err());
    assert!(ratio("0.12345678901").is_err());
}

#[test]
fn seeds_are_numbers_or_commits() {
    assert_eq!(parse_seed("7"), Ok(7));
    assert_eq!(parse_seed("18446744073709551615"), Ok(u64::MAX));
    assert_eq!(parse_seed("56294fc"), Ok(0x56294fc));
    assert_eq!(parse_seed("e635a5c0123456789abcdef0123456789abcdef0"), Ok(0xe635_a5c0_1234_5678));
    for wrong in ["", "-1", "seven", "abc", "18446744073709551616x", "0x12"] {
        assert!(parse_seed(wrong).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(n in any::<u64>(), a in any::<u32>(), b in 1u32..) {
        prop_assert_eq!(span(&Span::from_nanos(n).to_string()), Ok(Span::from_nanos(n)));
        prop_assert_eq!(bytes(&bytes_text(Bytes(n))), Ok(Bytes(n)));
        prop_assert_eq!(bytes(&decimal_bytes_text(Bytes(n))), Ok(Bytes(n)));
        prop_assert_eq!(rate(&rate_text(Rate::from_micros(n))), Ok(Rate::from_micros(n)));
        let text = ratio_text(Ratio::new(a, b));
        prop_assert_eq!(ratio(text.trim_matches('"')), Ok(Ratio::new(a, b)));
    }

    #[test]
    fn no_text_panics(text in ".{0,40}") {
        let _ = (span(&text), setting_span(&text), bytes(&text), setting_bytes(&text));
        let _ = (bandwidth(&text), rate(&text), ratio(&text), parse_seed(&text));
    }
}
