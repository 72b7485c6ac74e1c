//! The rules by name: the expressions that each family of models was trained with, and what else the name stands for.
//!
//! Names and what they stand for: `llama_vocab::impl::load` in
//! <https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp>. Where llama.cpp writes an expression
//! differently, because its engine lacks a feature, the one published with the models (`tokenizer.json`) stands here.

/// What a value of `tokenizer.ggml.pre` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Expressions, each of which cuts the pieces that the one before left into matches and what lies between.
    pub(super) expressions: &'static [&'static str],
    /// A word that is a token is that token, whatever the merges say (`ignore_merges` in `tokenizer.json`). GGUF does not
    /// carry the flag.
    pub(crate) whole_words_first: bool,
    /// Texts start with the beginning-of-sequence token unless the file says.
    pub(crate) adds_bos: bool,
}

/// GPT-2's.
const GPT_2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// GPT-4's, with up to three digits a word.
const GPT_4: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The same with one digit a word.
const QWEN_2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The same with marks as part of words.
const QWEN_3_5: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The same with whole numbers, which another expression has cut already.
const MINICPM_5: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The same without the ends of English contractions, for Turkish.
const UFAKZEKA: &str =
    r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const BAILING_MOE: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+";

const SEED_CODER: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Words with single spaces in them. Published with `(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+`, which is the same.
const EXAONE_MOE: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}(?:[\p{L}\p{M}]| \p{L})*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+";

/// GPT-4o's: words end where their case rises again.
const GPT_4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The same without contractions and with one digit a word.
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// GPT-4o's with one digit a word.
const YOUTU: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// GPT-4o's with Chinese characters apart from other letters.
const KIMI_K2: &str = r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// DeepSeek V3's: punctuation may start a word.
const DEEPSEEK_V3: &str = r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##;

const SPARK_2_5: &str = r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+"##;

/// Letters of alphabets with two cases.
const DEEPSEEK_LETTERS: &str = "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u{1F7D}ᾀ-ᾴᾶ-ᾼ\u{1FBE}ῂ-ῄῆ-ῌῐ-\u{1FD3}ῖ-\u{1FDB}ῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u{2126}ℨ\u{212A}-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+";

/// CJK characters and all that stands between them and Hangul.
const DEEPSEEK_CJK: &str = "[一-龥ࠀ-一가-퟿]+";

/// Chinese and Japanese characters.
const CJK: &str = "[一-龥぀-ゟ゠-ヿ]+";

const SENTENCE: &str = r" ?[^(\s|.,!?…。，、।۔،)]+";

const PUNCTUATION: &str = r"[\p{P}\$\+<=>\^~\|]+";

const NUMBER: &str = r"\p{N}";

const NUMBERS: &str = r"\p{N}+";

const UP_TO_THREE: &str = r"\p{N}{1,3}";

const THREE_DIGITS: &str = "[0-9][0-9][0-9]";

const LINE_END: &str = r"[\r\n]";

const LINES: &str = r"[^\n]+|[\n]+";

/// White space at a piece's end.
pub(super) const TRAILING_SPACE: &str = r"\s+$";

/// Numbers that are whole words in threes from the right.
pub(super) const THOUSANDS: &str = r"\d{1,3}(?=(?:\d{3})*\b)";

/// Numbers in threes from the right, whatever follows.
pub(super) const NUMBERS_IN_THREES: &str = r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))";

impl Rule {
    const fn new(expressions: &'static [&'static str]) -> Self {
        Self {
            expressions,
            whole_words_first: false,
            adds_bos: false,
        }
    }

    const fn whole_words_first(mut self) -> Self {
        self.whole_words_first = true;
        self
    }

    const fn adds_bos(mut self) -> Self {
        self.adds_bos = true;
        self
    }

    /// The rule that `tokenizer.ggml.pre` names; a file without the key or with an empty one means `default`.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "" | "default" => Self::new(&[PUNCTUATION, GPT_2, NUMBERS, THREE_DIGITS]),
            "gpt-2" | "phi-2" | "jina-es" | "jina-de" | "jina-v1-en" | "jina-v2-es"
            | "jina-v2-de" | "jina-v2-code" | "roberta-bpe" | "modern-bert" | "gigachat"
            | "a.x-4.0" | "mellum" | "exaone4" | "mpt" | "olmo" | "jais" | "trillion"
            | "granite-docling" => Self::new(&[GPT_2]),
            "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone"
            | "minerva-7b" | "mellum2" => Self::new(&[NUMBER, GPT_2]),
            "llama-bpe" | "llama3" | "llama-v3" | "falcon3" | "falcon-h1" | "pixtral"
            | "midm-2.0" | "lfm2" | "jina-v5-nano" => {
                Self::new(&[GPT_4]).whole_words_first().adds_bos()
            }
            "glm4" | "glm5" => Self::new(&[GPT_4]).whole_words_first(),
            "dbrx" | "smaug-bpe" | "chatglm-bpe" => Self::new(&[GPT_4]),
            "qwen2" | "deepseek-r1-qwen" | "kormo" | "f2llmv2" | "megrez" | "stablelm2"
            | "hunyuan" | "solar-open" | "grok-2" => Self::new(&[QWEN_2]),
            "qwen35" => Self::new(&[QWEN_3_5]),
            "minicpm5" => Self::new(&[UP_TO_THREE, MINICPM_5]).whole_words_first(),
            "ufakzeka" => Self::new(&[UFAKZEKA]),
            "laguna" => Self::new(&[LINES, QWEN_2]),
            "bailingmoe" | "bailingmoe2" | "llada-moe" => Self::new(&[BAILING_MOE]),
            "seed-coder" => Self::new(&[SEED_CODER]),
            "exaone-moe" => Self::new(&[EXAONE_MOE]),
            "gpt-4o" | "o200k" | "llama4" | "kanana2" | "talkie" | "minimax-m2" => {
                Self::new(&[GPT_4O])
            }
            "granite-embed-multi-97m" => Self::new(&[GPT_4O]).whole_words_first(),
            "tiny_aya" | "cohere2moe" => Self::new(&[THOUSANDS, GPT_4O]),
            "tekken" => Self::new(&[TEKKEN]).whole_words_first().adds_bos(),
            "youtu" => Self::new(&[
                "[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+",
                YOUTU,
            ])
            .whole_words_first(),
            "kimi-k2" => Self::new(&[KIMI_K2]),
            "deepseek-llm" => Self::new(&[
                LINE_END,
                DEEPSEEK_LETTERS,
                r"\s?[!-/:-~！-／：-～‘-‟　-。]+",
                TRAILING_SPACE,
                DEEPSEEK_CJK,
                NUMBERS,
            ]),
            "deepseek-coder" => {
                Self::new(&[LINE_END, r"\s?\p{L}+", r"\s?\p{P}+", DEEPSEEK_CJK, NUMBER])
            }
            "deepseek-v3" | "hunyuan-dense" | "joyai-llm" | "hy_v4" => {
                Self::new(&[UP_TO_THREE, CJK, DEEPSEEK_V3])
            }
            "spark2_5" => Self::new(&[UP_TO_THREE, CJK, SPARK_2_5, NUMBER]),
            "afmoe" => Self::new(&[
                NUMBERS_IN_THREES,
                "[一-鿿㐀-䶿豈-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+",
                DEEPSEEK_V3,
            ]),
            "falcon" => Self::new(&[r"[\p{P}\$\+<=>\^~\|`]+", GPT_2, THREE_DIGITS]),
            "bloom" | "poro-chat" | "gpt3-finnish" => Self::new(&[SENTENCE]),
            "viking" => Self::new(&[SENTENCE, NUMBER]),
            "chameleon" => Self::new(&[
                "<sentinel:[0-9]+>",
                "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
                r"([\t\n]|    |  )",
                NUMBER,
                r"[\p{P}!-/:-@\[-`{-~]",
                GPT_2,
            ])
            .adds_bos(),
            _ => return None,
        })
    }
}
