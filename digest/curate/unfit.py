"""What a title says that is no news, in the languages of the newsletters: words that lead nowhere. Pure."""

from __future__ import annotations

import re

from digest.curate.words import AFTER, BEFORE

_I = re.IGNORECASE


def _said(*phrases: str) -> str:
    """An expression for one of these phrases at the bounds of words."""
    return rf"{BEFORE}(?:{'|'.join(phrases)}){AFTER}"


def _begins(*phrases: str) -> str:
    """An expression for one of these with a colon behind it, or in brackets, at the beginning of a title."""
    words = "|".join(phrases)
    return rf"^\W{{0,3}}(?:{words})\s?[:：»|]|^\s?[\[(【［]\s?(?:{words})\s?[\])】］]"


def _whole(*phrases: str) -> str:
    """An expression for one of these as all that a title says."""
    return rf"^\W{{0,3}}(?:{'|'.join(phrases)})\W{{0,3}}$"


# What moves has to be a feed or a site, or "we" to no object: who moved their database has news.
_SITE = r"(?:feed|rss(?: feed)?|blog|weblog|web ?site|newsletter|podcast|journal|página|flux|sito|сайт|блог)"
_MOVED = (
    _said(
        rf"(?:this|our|my|the) {_SITE} (?:has |have |is |was |will be )?(?:been )?(?:now (?:at|on)|moved|"
        rf"moving|relocated|"
        r"migrated|closed|closing|discontinued|deprecated|shutting down)",
        rf"(?:this|our|my|the) {_SITE} has a new (?:home|address)",
        rf"(?:i've|i have|we've|we have) moved (?:my|our|the|this) {_SITE}",
        rf"{_SITE} (?:has |have |is |was )?(?:been )?(?:relocated|migrated|discontinued|deprecated)",
        rf"{_SITE} (?:has|have) (?:been )?(?:moved|closed)",
        rf"(?:update|change) your (?:{_SITE}|subscriptions?|bookmarks?)",
        rf"(?:new|moving to a new) {_SITE}(?: (?:url|address|location))?(?=\W*$)",
        r"please (?:re-?subscribe|update your)",
        rf"(?:dieser |unser |mein |der )?{_SITE} (?:ist |wurde |zieht )?(?:umgezogen|um(?=\W*$))",
        r"wir (?:sind|ziehen) (?:umgezogen|um)(?=\W*$)",
        r"neue feed[ -]adresse",
        r"(?:bitte )?(?:den )?(?:rss-)?feed (?:bitte )?(?:aktualisieren|ändern)",
        rf"(?:ce |notre |mon |le )?{_SITE} (?:a |est )?(?:été )?(?:déplacé|déménagé|déménage)",
        rf"nouve(?:au|lle adresse du) {_SITE}(?: rss)?",
        rf"(?:este |nuestro |el |mi )?{_SITE} (?:se ha |se |ha )(?:mudado|trasladado|mudó)",
        rf"cambio de dirección del? {_SITE}",
        rf"(?:il |questo |il nostro )?{_SITE} (?:si è |è )(?:trasferito|spostato)",
        rf"(?:este |o |nosso )?{_SITE} (?:mudou-se|mudou|se mudou)",
        r"mud[aá]mos de endereço",
        r"(?:наш |этот )?(?:блог|сайт|канал) (?:переехал|переезжает|перенесён|закрыт)",
        rf"(?:deze |ons )?{_SITE} is verhuisd",
        r"(?:blogg?en|bloggen) har flytt(?:at|et)",
        r"blog (?:został )?przeniesiony",
        r"przeprowadzka bloga",
        r"blog(?:umuz)? taşındı",
        r"(?:الموقع|المدونة) (?:انتقل|انتقلت) إلى عنوان جديد",
        r"انتقلنا إلى (?:موقع|عنوان) جديد",
    ),
    # Nobody else is named who moved, nor what.
    _whole(
        rf"{_SITE} (?:permanently |just )?(?:moved|relocated)(?: permanently)?(?: here)?",
        r"(?:we|i)(?:'ve| have|’ve|'re| are|'m| am)? (?:just )?(?:moved|moving)(?: to (?:a )?new .{1,30})?",
        r"nous avons déménagé|nous déménageons",
        r"nos hemos mudado|nos mudamos",
        r"ci siamo trasferiti",
        r"мы переехали",
    ),
    r"(?:本站|博客|网站|本博客|部落格|網站)已?(?:搬家|迁移|搬迁|遷移)|博客搬家|(?:ブログ|サイト|ホームページ)を?(?:移転|引っ越)|"
    r""
    r"(?:블로그|사이트)를? ?(?:이전|이사)",
)
_WORK = (
    r"(?:software|web|back-?end|front-?end|full-?stack|data|devops|systems?|java|python|rust|go|php|react|"
    r"android|ios|database|platform|security|machine learning|qa|ux|product|site reliability)"
)
_ROLE = (
    r"(?:engineer|developer|designer|programmer|administrator|admin|dba|analyst|architect|manager|entwickler(?:in)?|"
    r"redakteur(?:in)?|ingenieur(?:in)?|développeu(?:r|se)|ingénieure?|desarrollador(?:a|es)?|ingenier[oa]|"
    r"sviluppator[ei]|desenvolvedor(?:a|es)?|programist(?:a|ę|kę)|ontwikkelaar|utvecklare|разработчика?|"
    r"программиста?|"
    r"инженера?|geliştirici)"
)
_JOB = (
    _said(
        r"(?:we(?:'re|’re| are)|now|who is|who's) hiring",
        r"is hiring (?:an?|for|in|remote|senior|\d+) .{0,40}"
        rf"{_ROLE}s?|is hiring(?=\W*$)",
        rf"hiring (?:an?|our first) (?:\w+ ){{0,2}}{_ROLE}",
        r"job (?:opening|offer|advert|posting|vacancy|alert)s?",
        r"(?:jobs|careers|vacancies|open positions|open roles) at (?!risk)(?-i:[A-Z])\w*",
        r"(?:join our team|apply now|come (?:and )?work (?:with|for) us|career opportunit(?:y|ies))",
        rf"we(?:'re|’re| are) looking for (?:an? |our )?(?:\w+ ){{0,3}}{_ROLE}s?",
        rf"{_ROLE}s? (?:wanted|needed)(?=\W*$)",
        r"stellen(?:angebote?|anzeigen?|ausschreibung(?:en)?)|wir stellen ein|ausbildungsplatz zu[mr] .{3,40}",
        rf"wir suchen (?:\w+ ){{0,2}}{_ROLE}",
        r"offres? d['’]emploi|on recrute|nous recrutons|nous embauchons",
        rf"(?:recrutement|vacante|vaga|vacature|вакансия|offerta di lavoro|praca|"
        rf"lediga? jobb)\s?: (?:\w+ ){{0,2}}{_ROLE}",
        r"ofertas? de empleo|estamos contratando|estamos buscando desarrolladores",
        rf"(?:buscamos|contratamos|assumiamo|cerchiamo|procuramos|zatrudnimy|szukamy|ищем|требуется|нужен)(?: \w+)?"
        rf" {_ROLE}",
        r"offert[ae] di lavoro|vagas? de emprego|oferty? pracy|iş ilanı|وظيفة شاغرة|وظائف شاغرة|"
        r"مطلوب (?:مهندس|مبرمج|مطور)",
    ),
    # "(m/w/d)" stands in no other title, nor a wage beside a place of work.
    r"\((?:m/[wf]/[dx]|[wf]/m/[dx]|[wf]/m|m/[wf]|f/m/x|h/f|f/h|m/w/x|gn)\)|\[hiring\]|^hiring\s?:|^jobs?\s?[:|]",
    rf"{_WORK} {_ROLE}.{{0,60}}(?:\((?:remote|hybrid|on-?site|full[ -]time)[^)]{{0,20}}\)|[-–,|"
    rf"] ?(?:remote|full[ -]time|part[ -]time)\b)",
    rf"\b(?:junior|senior|staff|lead|principal) .{{0,30}}{_ROLE}.{{0,60}}(?:\bremote\b|[$€£]\s?\d)",
    r"^招聘[:：]|诚聘|誠聘|急聘|(?:エンジニア|デザイナー|プログラマー?|スタッフ|社員|開発者)(?:を)?募集|【(?:求人|募集|採用|招聘)】|"
    r""
    r"^(?:求人|採用情報)[:：]|^(?:채용|구인)\s?[:：]|(?:개발자|엔지니어) (?:채용|모집)",
)
_LIST = (
    r"(?:tags?|categor(?:y|ies)|label|author|archives?|schlagwort|kategorien?|étiquettes?|mots?-clés?|catégories?|"
    r"etiquetas?|categorías?|categorias?|etichett[ae]|categori[ae]|рубрика|метка|тег|категория|标签|標籤|分类|分類|"
    r"タグ|カテゴリー?|태그|카테고리|وسم|تصنيف|kategori(?:a|e)?|trefwoord|categorie|etiket)"
)
_LISTING = (
    # A page of a tag names the tag, in a word or two; more may be a title with a colon.
    rf"^{_LIST}\s?[:：»-]\s?\S+(?:\s\S+)?$",
    r"^(?:posts|articles|entries|stories) (?:tagged|in category|from category|filed under)\b",
    r"^(?:articles|posts|entries) (?:by|from) (?:\w+ ?){1,3}$",
    r"^(?:tag|category|author|monthly|daily|yearly|weekly|blog) archives?\b.{0,60}$|\barchives? [-–|»] .{2,40}$",
    r"^archives? for (?:the )?.{1,40}\b(?:category|tag|(?:19|20)\d\d)\W{0,2}$|^archives? of (?:category|tag)\b",
    r"^(?:schlagwort|kategorie|tages|monats|autoren?)-?archiv\b|^archiv der (?:kategorie|schlagw)|"
    r"^archives (?:par|de la catégorie|du mot)|^archivo de (?:la )?(?:categoría|etiqueta)|"
    r"^(?:tag archivi|archivi (?:categoria|tag|per))|^архив (?:рубрики|метки)|^arquivo da (?:categoria|tag)",
    r"^(?:all )?(?:tags|categories|archives?|index|homepage|sitemap|归档|歸檔|文章归档|アーカイブ|kategorien|archiv|"
    r"catégories|categorías|архив|рубрики)\s?$",
    r"^(?:page|seite|página|pagina|страница) \d{1,4}$|[–—|-] (?:page|seite|página|pagina|страница) \d{1,4}$",
)
_EMPTY = (
    _whole(
        r"hello,? world|hallo,? welt|hola,? mundo|bonjour,?(?: tout)? le monde|ciao,? mondo|olá,? mundo|"
        r"hallo,? wereld|"
        r"hej,? världen|witaj,? świecie|привет,? мир|merhaba,? dünya|שלום,? עולם|مرحبا بالعالم|أهلا بالعالم|"
        r"नमस्ते दुनिया",
        r"(?:你好|世界)[，,]?\s?(?:世界|您好|你好)|hello,? 世界|こんにちは、?世界|안녕하세요,? ?(?:세계|여러분)?",
        r"(?:just )?(?:a )?test(?:ing)?(?: ?(?:post|page|entry|item|article|\d{1,3}))?|teste|prueba|essai|テスト|"
        r"тест|测试|測試",
        r"\(?(?:untitled|no title|no subject)\)?(?: (?:document|post|page))?|ohne titel|sans titre|sin título|"
        r"senza titolo|sem título|без названия|无标题|無題|без темы|bez tytułu|başlıksız|"
        r"ללא כותרת|بدون عنوان|제목 없음",
        r"lorem ipsum.{0,80}|(?:sample|example) (?:page|post)|beispielseite|page d['’]exemple|"
        r"página de ejemplo|asdf\w{0,8}",
        r"(?:my )?first (?:blog )?post|mein erster beitrag|mon premier article|mi primera entrada|новый документ",
        r"new post|drafts?|entwurf|brouillon|borrador|черновик|todo|placeholder",
    ),
    r"^\W*$|^#\w{2,30}$",
)
_ADVERT = (
    _begins(
        r"sponsored(?: post| content)?|sponsor|advert(?:isement|orial)?|ad|promoted|paid post|anzeige|werbung|"
        r"gesponsert|"
        r"publicité|sponsorisé|contenu sponsorisé|publicidad|publirreportaje|patrocinado|pubblicità|sponsorizzato|"
        r"publicidade|publi|реклама|广告|廣告|推广|推廣|pr|広告|광고|إعلان|reklama|reklam|"
        r"artykuł sponsorowany|פרסומת|विज्ञापन"
    ),
    _said(r"(?:promo|coupon|discount) codes?", r"на правах рекламы", r"artykuł sponsorowany", r"contenu sponsorisé"),
    r"^\W*(?:sponsored|advertisement|promoted)\b(?! by)|\b(?:save|get|take) (?:up to )?\d{1,2} ?% (?:off|"
    r"on)\b|\b\d{1,2} ?% off\b(?!-)|"
    r"\b(?:black friday|cyber monday)\b.{0,20}\b(?:deals?|rabatte?|sales?|ofertas?|promos?)\b",
)
MOVED, JOB, LISTING, EMPTY, ADVERT = (
    re.compile("|".join(kind), _I) for kind in (_MOVED, _JOB, _LISTING, _EMPTY, _ADVERT)
)

# What an author or their tool left in a title's place: no words, a number that counts notes or seconds, "untitled".
NAMELESS = re.compile(
    r"^[\W\d_]{6,}$|^\W*$|"
    + _whole(
        r"\(?(?:untitled|no title|no subject)\)?(?: (?:document|post|page|note))?|ohne titel|sans titre|sin título|"
        r"senza titolo|sem título|без названия|без темы|无标题|無題|bez tytułu|başlıksız|"
        r"ללא כותרת|بدون عنوان|제목 없음",
    ),
    _I,
)

# ---------------------------------------------------------------- letters

# What the bytes of UTF-8 after the first are where they are read as Windows-1252, or ISO 8859-1.
_LATER = (
    "\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u2022"
    "\u2026\u2030\u2039\u203a\u20ac\u2122"
)
# Of these, such as no sentence has behind a letter: quotation marks, dots and spaces may stand there.
_STRANGE = (
    "\u0080-\u009f\u00a1-\u00aa\u00ac-\u00b6\u00b8-\u00ba\u00bc-\u00bf\u0152\u0153\u0160\u0161"
    "\u0178\u017d\u017e\u0192\u02c6\u02dc\u2020\u2021\u2022\u2030\u20ac\u2122"
)
_QUERIED = r"(?<![\w./?=&-])[A-Za-z]{1,20}\?[a-z]{1,20}(?![\w=&?])"
_LOST = re.compile(
    "\ufffd|[ÃÂ][\u0080-\u00bf\u20ac\u201a-\u203a\u0152-\u0178]|â€|ï»¿|[\u0080-\u009f]|"
    f"(?:[Ä-ß×][{_LATER}]){{2}}|(?:[à-ï][{_LATER}]{{2}}){{2}}|"
    f"[Ä-ß×][{_STRANGE}].{{0,80}}[Ä-ß×][{_STRANGE}]|"
    # Cyrillic or Chinese bytes as western letters; question marks for letters that a charset did not have.
    r"[À-ÿ¹²³°±µ¶½¼¾×÷]{6}|\?{3,9}\s{1,3}\?\?|^\W{0,3}\?{4,99}\W{0,3}$|"
    # …also within words, twice; not in an address.
    rf"{_QUERIED}.{{0,80}}[\s(]{_QUERIED}"
)


def broken(text: str) -> bool:
    """Whether letters of a text are lost or stand for others."""
    return ("?" in text or not text.isascii()) and _LOST.search(text) is not None
