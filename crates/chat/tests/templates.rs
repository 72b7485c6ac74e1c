//! What templates may do, and what is said when they go wrong.

use chat::{Content, Conversation, Error, Message, Part, SpecialTokens, Template};
use serde_json::json;

fn template(source: &str) -> Template {
    Template::new(source, SpecialTokens::default()).expect("a valid template")
}

fn render(source: &str) -> String {
    template(source)
        .render(&Conversation::default())
        .expect("a prompt")
}

/// Line and message of the refusal to compile or render.
fn refusal(source: &str) -> (usize, String) {
    let result = Template::new(source, SpecialTokens::default())
        .and_then(|template| template.render(&Conversation::default()));
    match result.expect_err("a refusal") {
        Error::Template { line, message } => (line, message),
        other => panic!("{other}"),
    }
}

#[test]
fn chatml_is_the_fallback() {
    let conversation = Conversation {
        messages: vec![
            Message::new("system", "Be brief."),
            Message::new("user", "Hi "),
        ],
        add_generation_prompt: true,
        ..Conversation::default()
    };
    assert_eq!(
        Template::chatml().render(&conversation).expect("a prompt"),
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi <|im_end|>\n<|im_start|>assistant\n"
    );
}

#[test]
fn errors_name_line_and_cause() {
    let (line, message) = refusal("a\n{% if x %}\nb");
    assert_eq!(line, 3);
    assert!(message.contains("syntax error"), "{message}");
    assert_eq!(
        refusal("a\n{{ x.y.z }}\n"),
        (2, "undefined value, in `{{ x.y.z }}`".into())
    );
    let (line, message) = refusal("\n\n{{ 'a' | no_such_filter }}");
    assert_eq!(line, 3);
    assert!(message.contains("no_such_filter"), "{message}");
}

#[test]
fn a_templates_own_refusal_comes_through() {
    assert_eq!(
        refusal("{% if true %}\n{{ raise_exception('Roles must alternate!') }}{% endif %}"),
        (2, "Roles must alternate!".into())
    );
    let inside_a_macro =
        "{% macro m() %}\n{{ raise_exception('No.') }}\n{% endmacro %}\n\n{{ m() }}";
    assert_eq!(refusal(inside_a_macro).1, "No.");
    let error = template("{{ raise_exception('No.') }}")
        .render(&Conversation::default())
        .expect_err("a refusal");
    assert_eq!(error.to_string(), "chat template, line 1: No.");
}

#[test]
fn an_endless_template_is_stopped() {
    let (_, message) =
        refusal("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}");
    assert!(message.contains("fuel"), "{message}");
}

#[test]
fn endless_recursion_is_stopped() {
    let (_, message) = refusal("{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(1) }}");
    assert!(message.contains("recursion"), "{message}");
}

#[test]
fn blocks_are_trimmed_as_transformers_does() {
    assert_eq!(render("  {% if true %}\n  a\n  {% endif %}\nb\n"), "  a\nb");
}

#[test]
fn generation_tags_change_nothing() {
    let source = "a{%- generation -%} b {%- endgeneration -%} c{% generation %}{{ 'generation %}' }}{% endgeneration %}";
    assert_eq!(render(source), "abcgeneration %}");
}

#[test]
fn python_methods_work() {
    for (expression, expected) in [
        ("' a '.strip()", "a"),
        ("'a,b'.split(',')[-1]", "b"),
        ("'abc'.startswith('ab')", "True"),
        ("{'a': 1}.items() | list", "[('a', 1)]"),
        ("{'a': 1}.get('b', 2)", "2"),
        ("'a-b'.replace('-', '+').upper()", "A+B"),
        ("[1, 2, 3][::-1]", "[3, 2, 1]"),
        ("none", "None"),
        ("x is defined", "False"),
        ("none is iterable or 1 is iterable", "False"),
        (
            "'a' is iterable and {} is iterable and [] is sequence",
            "True",
        ),
    ] {
        assert_eq!(
            render(&format!("{{{{ {expression} }}}}")),
            expected,
            "{expression}"
        );
    }
    let state = "{% set ns = namespace(n=0) %}{% for i in range(9) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 4 %}{% break %}{% endif %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}";
    assert_eq!(render(state), "5");
}

#[test]
fn json_is_pythons() {
    let value = json!({"z": [1, 2.0, 1e-7, 1e16, -0.5], "a": {"é\u{1}\"\\\n": null, "e": [], "o": {}}, "t": true});
    let conversation = Conversation {
        extra: [("v".to_owned(), value)].into_iter().collect(),
        ..Conversation::default()
    };
    let render = |source: &str| template(source).render(&conversation).expect("a prompt");
    assert_eq!(
        render("{{ v | tojson }}"),
        r#"{"z": [1, 2.0, 1e-07, 1e+16, -0.5], "a": {"é\u0001\"\\\n": null, "e": [], "o": {}}, "t": true}"#
    );
    assert_eq!(
        render("{{ v.a | tojson(sort_keys=true, ensure_ascii=true) }}"),
        r#"{"e": [], "o": {}, "\u00e9\u0001\"\\\n": null}"#
    );
    assert_eq!(
        render("{{ {'a': [1, {}], 'b': '😀'} | tojson(indent=2) }}"),
        "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": \"😀\"\n}"
    );
    assert_eq!(
        render("{{ '😀' | tojson(ensure_ascii=true) }}"),
        r#""\ud83d\ude00""#
    );
    assert!(template("{{ x | tojson }}").render(&conversation).is_err());
}

#[test]
fn the_clock_is_the_callers() {
    let source = "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% else %}no clock{% endif %}";
    assert_eq!(render(source), "no clock");
    let conversation = Conversation {
        now: Some(1_732_323_723),
        ..Conversation::default()
    };
    assert_eq!(
        template(source).render(&conversation).expect("a prompt"),
        "23 Nov 2024"
    );
    let error = template("{{ strftime_now('%Q') }}")
        .render(&conversation)
        .expect_err("a refusal");
    assert!(error.to_string().contains("`%Q`"), "{error}");
}

#[test]
fn messages_read_as_openai_writes_them() {
    let messages = json!([
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"z\": 1, \"a\": [true]}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "2"},
    ]);
    let messages: Vec<Message> = serde_json::from_value(messages).expect("messages");
    assert_eq!(
        messages[0].content,
        Some(Content::Parts(vec![
            Part::Text { text: "a".into() },
            Part::Text { text: "b".into() }
        ]))
    );
    let conversation = Conversation {
        messages,
        ..Conversation::default()
    };
    let source = "{{ messages[0].content }}|{{ messages[1].content is none }}|{{ messages[1].tool_calls[0].function.arguments | tojson }}|{{ messages[2].tool_call_id }}";
    assert_eq!(
        template(source).render(&conversation).expect("a prompt"),
        "a\nb|True|{\"z\": 1, \"a\": [true]}|1"
    );
    // This one cannot do without a text.
    let joined =
        template("{% for m in messages %}{{ m.role + ':' + m.content + ' ' }}{% endfor %}");
    assert_eq!(
        joined.render(&conversation).expect("a prompt"),
        "user:a\nb assistant: tool:2 "
    );
}
