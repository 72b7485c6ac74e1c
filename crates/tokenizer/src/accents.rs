//! Taking accents off letters.

/// Characters that canonical decomposition takes apart, after the character that comes first of their parts. Marks are
/// left out, as they are dropped anyway, and so are ideographs for compatibility.
const LETTERS: &str = "\
    ;\u{37E} <≮ =≠ >≯ AÀÁÂÃÄÅĀĂĄǍǞǠǺȀȂȦḀẠẢẤẦẨẪẬẮẰẲẴẶ\u{212B} BḂḄḆ CÇĆĈĊČḈ DĎḊḌḎḐḒ \
    EÈÉÊËĒĔĖĘĚȄȆȨḔḖḘḚḜẸẺẼẾỀỂỄỆ FḞ GĜĞĠĢǦǴḠ HĤȞḢḤḦḨḪ IÌÍÎÏĨĪĬĮİǏȈȊḬḮỈỊ JĴ KĶǨḰḲḴ\u{212A} LĹĻĽḶḸḺḼ MḾṀṂ \
    NÑŃŅŇǸṄṆṈṊ OÒÓÔÕÖŌŎŐƠǑǪǬȌȎȪȬȮȰṌṎṐṒỌỎỐỒỔỖỘỚỜỞỠỢ PṔṖ RŔŖŘȐȒṘṚṜṞ SŚŜŞŠȘṠṢṤṦṨ TŢŤȚṪṬṮṰ \
    UÙÚÛÜŨŪŬŮŰŲƯǓǕǗǙǛȔȖṲṴṶṸṺỤỦỨỪỬỮỰ VṼṾ WŴẀẂẄẆẈ XẊẌ YÝŶŸȲẎỲỴỶỸ ZŹŻŽẐẒẔ `\u{1FEF} \
    aàáâãäåāăąǎǟǡǻȁȃȧḁạảấầẩẫậắằẳẵặ bḃḅḇ cçćĉċčḉ dďḋḍḏḑḓ eèéêëēĕėęěȅȇȩḕḗḙḛḝẹẻẽếềểễệ fḟ gĝğġģǧǵḡ hĥȟḣḥḧḩḫẖ \
    iìíîïĩīĭįǐȉȋḭḯỉị jĵǰ kķǩḱḳḵ lĺļľḷḹḻḽ mḿṁṃ nñńņňǹṅṇṉṋ oòóôõöōŏőơǒǫǭȍȏȫȭȯȱṍṏṑṓọỏốồổỗộớờởỡợ pṕṗ \
    rŕŗřȑȓṙṛṝṟ sśŝşšșṡṣṥṧṩ tţťțṫṭṯṱẗ uùúûüũūŭůűųưǔǖǘǚǜȕȗṳṵṷṹṻụủứừửữự vṽṿ wŵẁẃẅẇẉẘ xẋẍ yýÿŷȳẏẙỳỵỷỹ zźżžẑẓẕ \
    ¨΅῁῭\u{1FEE} ´\u{1FFD} ·\u{387} ÆǢǼ ØǾ æǣǽ øǿ ſẛ ƷǮ ʒǯ ʹ\u{374} ΑΆἈἉἊἋἌἍἎἏᾈᾉᾊᾋᾌᾍᾎᾏᾸᾹᾺ\u{1FBB}ᾼ \
    ΕΈἘἙἚἛἜἝῈ\u{1FC9} ΗΉἨἩἪἫἬἭἮἯᾘᾙᾚᾛᾜᾝᾞᾟῊ\u{1FCB}ῌ ΙΊΪἸἹἺἻἼἽἾἿῘῙῚ\u{1FDB} ΟΌὈὉὊὋὌὍῸ\u{1FF9} ΡῬ \
    ΥΎΫὙὛὝὟῨῩῪ\u{1FEB} ΩΏὨὩὪὫὬὭὮὯᾨᾩᾪᾫᾬᾭᾮᾯῺ\u{1FFB}ῼ\u{2126} αάἀἁἂἃἄἅἆἇὰ\u{1F71}ᾀᾁᾂᾃᾄᾅᾆᾇᾰᾱᾲᾳᾴᾶᾷ \
    εέἐἑἒἓἔἕὲ\u{1F73} ηήἠἡἢἣἤἥἦἧὴ\u{1F75}ᾐᾑᾒᾓᾔᾕᾖᾗῂῃῄῆῇ ιΐίϊἰἱἲἳἴἵἶἷὶ\u{1F77}\u{1FBE}ῐῑῒ\u{1FD3}ῖῗ \
    οόὀὁὂὃὄὅὸ\u{1F79} ρῤῥ υΰϋύὐὑὒὓὔὕὖὗὺ\u{1F7B}ῠῡῢ\u{1FE3}ῦῧ ωώὠὡὢὣὤὥὦὧὼ\u{1F7D}ᾠᾡᾢᾣᾤᾥᾦᾧῲῳῴῶῷ ϒϓϔ ІЇ АӐӒ \
    ГЃ ЕЀЁӖ ЖӁӜ ЗӞ ИЍЙӢӤ КЌ ОӦ УЎӮӰӲ ЧӴ ЫӸ ЭӬ аӑӓ гѓ еѐёӗ жӂӝ зӟ ийѝӣӥ кќ оӧ уўӯӱӳ чӵ ыӹ эӭ ії ѴѶ ѵѷ ӘӚ \
    әӛ ӨӪ өӫ א\u{FB2E}\u{FB2F}\u{FB30} ב\u{FB31}\u{FB4C} ג\u{FB32} ד\u{FB33} ה\u{FB34} ו\u{FB35}\u{FB4B} \
    ז\u{FB36} ט\u{FB38} י\u{FB1D}\u{FB39} ך\u{FB3A} כ\u{FB3B}\u{FB4D} ל\u{FB3C} מ\u{FB3E} נ\u{FB40} \
    ס\u{FB41} ף\u{FB43} פ\u{FB44}\u{FB4E} צ\u{FB46} ק\u{FB47} ר\u{FB48} \
    ש\u{FB2A}\u{FB2B}\u{FB2C}\u{FB2D}\u{FB49} ת\u{FB4A} ײ\u{FB1F} اآأإ وؤ يئ ہۂ ےۓ ەۀ क\u{958} ख\u{959} \
    ग\u{95A} ज\u{95B} ड\u{95C} ढ\u{95D} नऩ फ\u{95E} य\u{95F} रऱ ळऴ ড\u{9DC} ঢ\u{9DD} য\u{9DF} ਖ\u{A59} \
    ਗ\u{A5A} ਜ\u{A5B} ਫ\u{A5E} ਲ\u{A33} ਸ\u{A36} ଡ\u{B5C} ଢ\u{B5D} ஒஔ ཀ\u{F69} ག\u{F43} ཌ\u{F4D} ད\u{F52} \
    བ\u{F57} ཛ\u{F5C} ဥဦ ᬅᬆ ᬇᬈ ᬉᬊ ᬋᬌ ᬍᬎ ᬑᬒ ᾿῍῎῏ ῾῝῞῟ \u{2002}\u{2000} \u{2003}\u{2001} ←↚ →↛ ↔↮ ⇐⇍ ⇒⇏ ⇔⇎ \
    ∃∄ ∈∉ ∋∌ ∣∤ ∥∦ ∼≁ ≃≄ ≅≇ ≈≉ ≍≭ ≡≢ ≤≰ ≥≱ ≲≴ ≳≵ ≶≸ ≷≹ ≺⊀ ≻⊁ ≼⋠ ≽⋡ ⊂⊄ ⊃⊅ ⊆⊈ ⊇⊉ ⊑⋢ ⊒⋣ ⊢⊬ ⊨⊭ ⊩⊮ ⊫⊯ ⊲⋪ ⊳⋫ ⊴⋬ \
    ⊵⋭ ⫝\u{2ADC} 〈\u{2329} 〉\u{232A} うゔ かが きぎ くぐ けげ こご さざ しじ すず せぜ そぞ ただ ちぢ つづ てで とど はばぱ ひびぴ ふぶぷ へべぺ ほぼぽ \
    ゝゞ ウヴ カガ キギ クグ ケゲ コゴ サザ シジ スズ セゼ ソゾ タダ チヂ ツヅ テデ トド ハバパ ヒビピ フブプ ヘベペ ホボポ ワヷ ヰヸ ヱヹ ヲヺ ヽヾ 𑂙𑂚 𑂛𑂜 𑂥𑂫 \
    𝅗\u{1D15E} 𝅘\u{1D15F}\u{1D160}\u{1D161}\u{1D162}\u{1D163}\u{1D164} 𝆹\u{1D1BB}\u{1D1BD}\u{1D1BF} \
    𝆺\u{1D1BC}\u{1D1BE}\u{1D1C0} \
    \u{105D2}\u{105C9} \u{105DA}\u{105E4} \u{11382}\u{11383} \u{11384}\u{11385} \u{1138B}\u{1138E} \u{11390}\u{11391} \u{16D67}\u{16D68} \u{16D63}\u{16D69}\u{16D6A}";

/// The first of the Korean syllables, which come in blocks of one initial consonant each.
const FIRST_SYLLABLE: u32 = 0xAC00;
const LAST_SYLLABLE: u32 = 0xD7A3;
const SYLLABLES_OF_A_CONSONANT: u32 = 588;
const FIRST_CONSONANT: u32 = 0x1100;

/// The first character of the canonical decomposition of `c`: a letter without its accents, or the initial consonant of a
/// Korean syllable, which is all that llama.cpp keeps of it.
pub(crate) fn base(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    let code = u32::from(c);
    if (FIRST_SYLLABLE..=LAST_SYLLABLE).contains(&code) {
        let consonant = FIRST_CONSONANT + (code - FIRST_SYLLABLE) / SYLLABLES_OF_A_CONSONANT;
        return char::from_u32(consonant).unwrap_or(c);
    }
    let Some(at) = LETTERS.find(c) else { return c };
    let group = LETTERS[..at].rfind(' ').map_or(0, |space| space + 1);
    LETTERS[group..].chars().next().unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use unicode_normalization::UnicodeNormalization;
    use unicode_normalization::char::is_combining_mark;

    use super::base;

    #[test]
    fn bases_are_the_first_of_the_decomposition() {
        let for_compatibility =
            |c| matches!(c, '\u{F900}'..='\u{FAFF}' | '\u{2F800}'..='\u{2FA1F}');
        for c in (char::MIN..=char::MAX).filter(|&c| !for_compatibility(c) && !is_combining_mark(c))
        {
            assert_eq!(Some(base(c)), c.nfd().next(), "{c:?}");
        }
    }
}
