//! What Whisper writes where nobody speaks, learnt from the subtitles of films and videos: their makers' names, thanks and
//! farewells. No proof by itself, for people do say thank you.

/// (code of the language, what it is known to make up), lower case, without punctuation at the ends.
const PHRASES: [(&str, &[&str]); 19] = [
    (
        "en",
        &[
            "you",
            "thank you",
            "thank you very much",
            "thank you for watching",
            "thanks for watching",
            "thank you so much for watching",
            "thanks for watching and don't forget to like and subscribe",
            "please subscribe",
            "please subscribe to my channel",
            "see you next time",
            "see you in the next video",
            "i'll see you next time",
            "bye",
            "bye bye",
            "bye-bye",
            "oh",
            "so",
            "okay",
            "i'm sorry",
            "the end",
            "silence",
            "music",
        ],
    ),
    (
        "de",
        &[
            "vielen dank",
            "danke",
            "tschüss",
            "vielen dank für's zuschauen",
            "vielen dank fürs zuschauen",
            "bis zum nächsten mal",
        ],
    ),
    (
        "fr",
        &["merci", "merci d'avoir regardé cette vidéo", "merci d'avoir regardé", "au revoir", "abonnez-vous"],
    ),
    (
        "es",
        &[
            "gracias",
            "gracias por ver el video",
            "gracias por ver el vídeo",
            "suscríbete",
            "suscríbete al canal",
            "adiós",
        ],
    ),
    ("it", &["grazie", "grazie a tutti", "grazie per la visione", "iscriviti al canale"]),
    ("pt", &["obrigado", "obrigada", "obrigado por assistir", "inscreva-se no canal", "tchau"]),
    ("nl", &["bedankt", "bedankt voor het kijken", "tot de volgende keer", "dank u wel"]),
    ("pl", &["dziękuję", "dziękuję za uwagę", "dzięki za oglądanie", "dziękuję za oglądanie"]),
    ("ru", &["спасибо", "спасибо за просмотр", "продолжение следует", "спасибо за внимание", "до свидания"]),
    ("uk", &["дякую", "дякую за перегляд", "дякую за увагу", "продовження буде"]),
    (
        "tr",
        &["teşekkürler", "izlediğiniz için teşekkürler", "izlediğiniz için teşekkür ederim", "altyazı m.k"],
    ),
    ("ar", &["شكرا", "شكرا للمشاهدة", "شكرا على المشاهدة", "اشتركوا في القناة"]),
    ("hi", &["धन्यवाद", "बहुत बहुत धन्यवाद"]),
    (
        "ja",
        &[
            "ご視聴ありがとうございました",
            "ご視聴ありがとうございます",
            "ありがとうございました",
            "最後までご視聴ありがとうございました",
            "おやすみなさい",
            "チャンネル登録お願いします",
        ],
    ),
    ("zh", &["谢谢", "谢谢观看", "謝謝觀看", "谢谢大家", "請不吝點贊訂閱轉發打賞", "请订阅", "字幕志愿者"]),
    ("yue", &["多謝", "多謝收睇", "謝謝觀看"]),
    (
        "ko",
        &[
            "감사합니다",
            "시청해주셔서 감사합니다",
            "시청해 주셔서 감사합니다",
            "구독과 좋아요 부탁드립니다",
            "다음 영상에서 만나요",
        ],
    ),
    ("sv", &["tack", "tack för att ni tittade", "tack för att du tittade"]),
    ("th", &["ขอบคุณ", "ขอบคุณครับ", "ขอบคุณค่ะ", "ขอบคุณที่รับชม"]),
];

/// Of makers of subtitles, in any language.
const MAKERS: [&str; 13] = [
    "amara.org",
    "dimatorzok",
    "radio-canada",
    "untertitelung des zdf",
    "untertitel im auftrag des zdf",
    "untertitel von stephanie geiges",
    "sottotitoli e revisione a cura di qtss",
    "sous-titrage st'",
    "字幕by",
    "字幕由",
    "明镜与点点",
    "субтитры создавал",
    "ترجمة نانسي قنقر",
];

/// Whether all of `text` is such a phrase of the language, a maker's name, or no word at all.
///
/// ```
/// # use candle_whisper_core::guards::is_phantom;
/// assert!(is_phantom(" Thank you. Thank you.", "en") && is_phantom(" . .", "en"));
/// assert!(!is_phantom(" Thank you for your letter.", "en"));
/// ```
pub fn is_phantom(text: &str, language: &str) -> bool {
    let text = text.to_lowercase().replace('’', "'");
    if MAKERS.iter().any(|maker| text.contains(maker)) {
        return true;
    }
    let known = PHRASES.iter().find(|(code, _)| *code == language).map_or(&[][..], |(_, phrases)| phrases);
    // Said several times it is the same.
    text.split(['.', '!', '?', '…', '。', '！', '？', '♪', ','])
        .map(|phrase| phrase.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|phrase| !phrase.is_empty())
        .all(|phrase| known.contains(&phrase))
}
