//! Small words by language: those that begin a phrase, and those that belong to the word behind them. A language without
//! a table is broken at its marks, and evenly.

/// The small words of a language, in small letters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    /// Conjunctions, prepositions, relative pronouns: good to break before, bad to break after.
    pub joining: &'static [&'static str],
    /// Articles, possessives, pronouns before their verb, negations: bad to break after.
    pub bound: &'static [&'static str],
    /// Abbreviations whose point ends no sentence.
    pub titles: &'static [&'static str],
}

const NONE: Words = Words { joining: &[], bound: &[], titles: &[] };

/// The table of a language by its code.
pub(super) fn words(language: &str) -> Words {
    match language {
        "en" => ENGLISH,
        "de" => GERMAN,
        "fr" => FRENCH,
        "es" => SPANISH,
        "it" => ITALIAN,
        "pt" => PORTUGUESE,
        "nl" => DUTCH,
        "ru" => RUSSIAN,
        _ => NONE,
    }
}

const ENGLISH: Words = Words {
    joining: &[
        "and", "or", "but", "nor", "so", "yet", "because", "although", "though", "while", "when", "where",
        "if", "unless", "until", "since", "that", "which", "who", "whom", "whose", "as", "than", "whether",
        "after", "before", "about", "above", "across", "against", "along", "among", "around", "at", "behind",
        "below", "between", "beyond", "by", "during", "for", "from", "in", "into", "of", "on", "onto",
        "over", "through", "to", "toward", "towards", "under", "upon", "with", "within", "without",
    ],
    bound: &[
        "a", "an", "the", "my", "your", "his", "her", "its", "our", "their", "this", "these", "those",
        "every", "each", "no", "not", "very", "i", "you", "he", "she", "it", "we", "they", "is", "are",
        "was", "were", "be", "been", "am", "has", "have", "had", "will", "would", "can", "could", "shall",
        "should", "may", "might", "must", "do", "does", "did", "don't", "doesn't", "didn't", "i'm", "you're",
        "he's", "she's", "it's", "we're", "they're",
    ],
    titles: &[
        "mr", "mrs", "ms", "dr", "prof", "st", "vs", "gen", "col", "sgt", "capt", "lt", "rev", "e.g", "i.e",
        "no",
    ],
};

const GERMAN: Words = Words {
    joining: &[
        "und", "oder", "aber", "sondern", "denn", "weil", "dass", "daß", "wenn", "als", "ob", "obwohl",
        "während", "bevor", "nachdem", "damit", "wie", "wo", "der", "die", "das", "welche", "welcher",
        "welches", "an", "am", "auf", "aus", "bei", "beim", "bis", "durch", "für", "gegen", "in", "im",
        "ins", "mit", "nach", "ohne", "seit", "über", "um", "unter", "von", "vom", "vor", "zu", "zum", "zur",
        "zwischen", "hinter", "neben",
    ],
    bound: &[
        "den", "dem", "des", "ein", "eine", "einen", "einem", "einer", "eines", "kein", "keine", "keinen",
        "mein", "meine", "dein", "deine", "sein", "seine", "ihr", "ihre", "unser", "unsere", "euer", "eure",
        "dieser", "diese", "dieses", "jeder", "jede", "jedes", "nicht", "sehr", "ich", "du", "er", "sie",
        "es", "wir",
    ],
    titles: &["dr", "prof", "hr", "fr", "st", "bzw", "ca", "usw", "z", "b", "d", "h", "nr", "evtl", "inkl"],
};

const FRENCH: Words = Words {
    joining: &[
        "et",
        "ou",
        "mais",
        "donc",
        "car",
        "ni",
        "or",
        "que",
        "qu",
        "qui",
        "dont",
        "où",
        "quand",
        "lorsque",
        "lorsqu",
        "puisque",
        "parce",
        "comme",
        "si",
        "à",
        "au",
        "aux",
        "avec",
        "chez",
        "contre",
        "dans",
        "de",
        "d",
        "des",
        "du",
        "depuis",
        "derrière",
        "devant",
        "en",
        "entre",
        "jusque",
        "jusqu",
        "par",
        "pendant",
        "pour",
        "sans",
        "sous",
        "sur",
        "vers",
    ],
    bound: &[
        "le", "la", "les", "l", "un", "une", "mon", "ma", "mes", "ton", "ta", "tes", "son", "sa", "ses",
        "notre", "nos", "votre", "vos", "leur", "leurs", "ce", "cet", "cette", "ces", "ne", "n", "très",
        "je", "j", "tu", "il", "elle", "on", "nous", "vous", "ils", "elles", "se", "me", "te",
    ],
    titles: &["m", "mm", "mme", "mlle", "dr", "pr", "st", "ste", "p", "ex"],
};

const SPANISH: Words = Words {
    joining: &[
        "y", "e", "o", "u", "pero", "sino", "ni", "que", "porque", "pues", "aunque", "cuando", "donde",
        "como", "si", "mientras", "quien", "quienes", "cual", "cuyo", "cuya", "a", "al", "ante", "bajo",
        "con", "contra", "de", "del", "desde", "durante", "en", "entre", "hacia", "hasta", "para", "por",
        "según", "sin", "sobre", "tras",
    ],
    bound: &[
        "el", "la", "los", "las", "lo", "un", "una", "unos", "unas", "mi", "mis", "tu", "tus", "su", "sus",
        "nuestro", "nuestra", "este", "esta", "estos", "estas", "ese", "esa", "no", "muy", "yo", "tú", "él",
        "ella", "se", "me", "te", "nos", "le", "les",
    ],
    titles: &["sr", "sra", "srta", "dr", "dra", "ud", "uds", "d", "núm"],
};

const ITALIAN: Words = Words {
    joining: &[
        "e", "ed", "o", "ma", "però", "né", "che", "chi", "cui", "perché", "quando", "dove", "come", "se",
        "mentre", "a", "ad", "al", "allo", "alla", "ai", "agli", "alle", "all", "da", "dal", "dalla", "dai",
        "dall", "di", "d", "del", "dello", "della", "dei", "degli", "delle", "dell", "in", "nel", "nello",
        "nella", "nei", "negli", "nelle", "nell", "con", "su", "sul", "sulla", "sui", "per", "tra", "fra",
        "senza", "verso",
    ],
    bound: &[
        "il", "lo", "la", "i", "gli", "le", "l", "un", "uno", "una", "mio", "mia", "tuo", "tua", "suo",
        "sua", "nostro", "nostra", "loro", "questo", "questa", "questi", "queste", "quel", "quella", "non",
        "molto", "io", "tu", "lui", "lei", "noi", "voi", "si", "mi", "ti", "ci", "vi", "è",
    ],
    titles: &["sig", "dott", "prof", "ing", "avv", "s"],
};

const PORTUGUESE: Words = Words {
    joining: &[
        "e", "ou", "mas", "nem", "que", "porque", "pois", "quando", "onde", "como", "se", "enquanto",
        "embora", "quem", "cujo", "cuja", "a", "ao", "aos", "à", "às", "ante", "até", "com", "contra", "de",
        "do", "da", "dos", "das", "desde", "durante", "em", "no", "na", "nos", "nas", "entre", "para", "pra",
        "por", "pelo", "pela", "pelos", "pelas", "sem", "sob", "sobre",
    ],
    bound: &[
        "o", "os", "as", "um", "uma", "uns", "umas", "meu", "minha", "teu", "tua", "seu", "sua", "nosso",
        "nossa", "este", "esta", "esse", "essa", "aquele", "aquela", "não", "muito", "eu", "tu", "ele",
        "ela", "nós", "eles", "elas",
    ],
    titles: &["sr", "sra", "dr", "dra", "prof", "d"],
};

const DUTCH: Words = Words {
    joining: &[
        "en", "of", "maar", "want", "dus", "omdat", "dat", "die", "als", "toen", "wanneer", "waar", "hoewel",
        "terwijl", "zodat", "aan", "achter", "bij", "binnen", "boven", "door", "in", "langs", "met", "na",
        "naar", "naast", "om", "onder", "op", "over", "per", "sinds", "te", "tegen", "tot", "tussen", "uit",
        "van", "voor", "zonder",
    ],
    bound: &[
        "de", "het", "een", "mijn", "jouw", "je", "zijn", "haar", "ons", "onze", "hun", "dit", "deze",
        "elke", "geen", "niet", "heel", "ik", "jij", "hij", "zij", "ze", "we", "wij", "er",
    ],
    titles: &["dhr", "mevr", "dr", "prof", "nr", "bijv", "ca"],
};

const RUSSIAN: Words = Words {
    joining: &[
        "и",
        "или",
        "но",
        "а",
        "да",
        "что",
        "чтобы",
        "потому",
        "если",
        "когда",
        "где",
        "как",
        "хотя",
        "пока",
        "который",
        "которая",
        "которое",
        "которые",
        "кто",
        "в",
        "во",
        "на",
        "с",
        "со",
        "к",
        "ко",
        "у",
        "о",
        "об",
        "от",
        "до",
        "из",
        "за",
        "для",
        "без",
        "по",
        "под",
        "при",
        "про",
        "над",
        "через",
        "между",
        "после",
        "перед",
    ],
    bound: &[
        "не",
        "ни",
        "мой",
        "моя",
        "твой",
        "твоя",
        "его",
        "её",
        "их",
        "наш",
        "наша",
        "ваш",
        "ваша",
        "свой",
        "своя",
        "этот",
        "эта",
        "это",
        "эти",
        "очень",
        "я",
        "ты",
        "он",
        "она",
        "мы",
        "вы",
        "они",
    ],
    titles: &["г", "ул", "д", "т", "др", "стр"],
};
