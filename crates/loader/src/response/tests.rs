use super::*;

fn known() -> Validator {
    Validator {
        etag: Some("\"1\"".to_owned()),
        last_modified: None,
    }
}

fn asked(validator: &Validator, from: u64) -> Asked<'_> {
    Asked {
        name: "https://h.org/m",
        from,
        to: None,
        size: Some(100),
        validator,
        resuming: from > 0,
    }
}

fn range(text: &str) -> Response {
    Response {
        status: 206,
        content_range: Some(text.to_owned()),
        ..Response::default()
    }
}

fn is_retry(judgement: &Judgement) -> bool {
    matches!(judgement, Judgement::Retry { .. })
}

#[test]
fn the_range_that_was_asked_for_is_taken() {
    let validator = known();
    let take = |size| Judgement::Take {
        skip: 0,
        size: Some(size),
    };
    assert_eq!(
        range("bytes 40-99/100").judge(asked(&validator, 40)),
        take(100)
    );
    assert_eq!(
        range("bytes 40-99/*").judge(asked(&validator, 40)),
        take(100)
    );
    // Hidden by the server: the length tells.
    let hidden = Response {
        status: 206,
        content_length: Some(60),
        ..Response::default()
    };
    assert_eq!(hidden.judge(asked(&validator, 40)), take(100));
    let first = Asked {
        size: None,
        ..asked(&validator, 0)
    };
    let hidden = Response {
        content_length: Some(70),
        ..hidden
    };
    assert_eq!(
        hidden.judge(first),
        Judgement::Take {
            skip: 0,
            size: Some(70)
        }
    );
}

#[test]
fn another_range_is_not() {
    let validator = known();
    for text in [
        "bytes 0-99/100",
        "bytes 40-98/100",
        "bytes 41-99/100",
        "bytes 40-39/100",
        "bytes */100",
        "items 40-99/100",
        "",
    ] {
        assert!(
            is_retry(&range(text).judge(asked(&validator, 40))),
            "{text}"
        );
    }
    let overflowing = format!("bytes 0-{}/{}", u64::MAX, u64::MAX);
    assert!(is_retry(&range(&overflowing).judge(asked(&validator, 0))));
    let encoded = Response {
        content_encoding: Some("gzip".to_owned()),
        ..range("bytes 40-99/100")
    };
    assert!(is_retry(&encoded.judge(asked(&validator, 40))));
}

#[test]
fn a_whole_file_in_place_of_a_range_is_skipped_into() {
    let validator = known();
    let whole = Response {
        status: 200,
        content_length: Some(100),
        validator: known(),
        ..Response::default()
    };
    assert_eq!(
        whole.judge(asked(&validator, 40)),
        Judgement::Take {
            skip: 40,
            size: Some(100)
        }
    );
    let encoded = Response {
        content_encoding: Some("gzip".to_owned()),
        content_length: Some(30),
        ..whole.clone()
    };
    let unknown = Asked {
        size: None,
        ..asked(&validator, 0)
    };
    assert_eq!(
        encoded.judge(unknown),
        Judgement::Take {
            skip: 0,
            size: None
        }
    );
    let portal = Response {
        content_type: Some("text/html; charset=utf-8".to_owned()),
        content_length: Some(9),
        ..whole
    };
    assert!(is_retry(&portal.judge(asked(&validator, 40))));
}

#[test]
fn another_version_is_noticed() {
    let validator = known();
    let other = Validator {
        etag: Some("\"2\"".to_owned()),
        last_modified: None,
    };
    for response in [
        Response {
            validator: other.clone(),
            ..range("bytes 40-99/100")
        },
        range("bytes 40-199/200"),
        Response {
            status: 200,
            content_length: Some(100),
            validator: other,
            ..Response::default()
        },
        Response {
            status: 200,
            content_length: Some(200),
            ..Response::default()
        },
        Response {
            status: 416,
            ..Response::default()
        },
    ] {
        assert_eq!(
            response.judge(asked(&validator, 40)),
            Judgement::Changed,
            "{response:?}"
        );
    }
}

#[test]
fn absurd_sizes_are_refused() {
    let validator = Validator::default();
    let first = Asked {
        size: None,
        ..asked(&validator, 0)
    };
    let whole = |length| Response {
        status: 200,
        content_length: Some(length),
        ..Response::default()
    };
    assert!(matches!(
        whole(MAX_PART_BYTES).judge(first),
        Judgement::Take { .. }
    ));
    for length in [MAX_PART_BYTES + 1, u64::MAX] {
        let part = Response {
            status: 206,
            ..whole(length)
        };
        for response in [whole(length), part] {
            assert!(matches!(
                response.judge(first),
                Judgement::Fail(Error::BadResponse { .. })
            ));
        }
    }
}

#[test]
fn statuses() {
    let validator = Validator::default();
    let first = Asked {
        size: None,
        ..asked(&validator, 0)
    };
    let status = |status| {
        Response {
            status,
            retry_after_ms: Some(5),
            ..Response::default()
        }
        .judge(first)
    };
    for not_now in NOT_NOW {
        assert!(
            matches!(
                status(not_now),
                Judgement::Retry {
                    after_ms: Some(5),
                    ..
                }
            ),
            "{not_now}"
        );
    }
    for never in [204, 301, 400, 401, 403, 404, 410, 416, 501] {
        assert!(
            matches!(status(never), Judgement::Fail(Error::Status { .. })),
            "{never}"
        );
    }
}
