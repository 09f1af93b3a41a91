-- sqlite
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE erasure (
	mark VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_erasure PRIMARY KEY (mark)
);
CREATE TABLE feed (
	id INTEGER NOT NULL, 
	url VARCHAR NOT NULL, 
	host VARCHAR NOT NULL, 
	title VARCHAR NOT NULL, 
	site_url VARCHAR NOT NULL, 
	language VARCHAR NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	added_at DATETIME NOT NULL, 
	headers JSON NOT NULL, 
	former_urls JSON NOT NULL, 
	moved_to VARCHAR NOT NULL, 
	etag VARCHAR NOT NULL, 
	last_modified VARCHAR NOT NULL, 
	body_hash VARCHAR NOT NULL, 
	next_at DATETIME NOT NULL, 
	claimed_at DATETIME, 
	ttl_seconds INTEGER NOT NULL, 
	skip JSON NOT NULL, 
	gap_seconds INTEGER NOT NULL, 
	entry_at DATETIME, 
	checked_at DATETIME, 
	ok_at DATETIME, 
	failing_since DATETIME, 
	failures INTEGER NOT NULL, 
	error VARCHAR NOT NULL, 
	told VARCHAR NOT NULL, published_title VARCHAR DEFAULT '' NOT NULL, 
	CONSTRAINT pk_feed PRIMARY KEY (id), 
	CONSTRAINT uq_feed_url UNIQUE (url)
);
CREATE INDEX ix_feed_host ON feed (host);
CREATE INDEX ix_feed_next_at ON feed (next_at);
CREATE TABLE newsletter (
	id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	seq INTEGER NOT NULL, 
	edition_number INTEGER NOT NULL, 
	slot_at DATETIME NOT NULL, 
	note VARCHAR NOT NULL, 
	CONSTRAINT pk_newsletter PRIMARY KEY (id), 
	CONSTRAINT uq_newsletter_name UNIQUE (name)
);
CREATE TABLE relay_hour (
	relay VARCHAR NOT NULL, 
	hour DATETIME NOT NULL, 
	letters INTEGER NOT NULL, 
	CONSTRAINT pk_relay_hour PRIMARY KEY (relay, hour)
);
CREATE TABLE subscriber (
	id INTEGER NOT NULL, 
	email VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	tags JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_subscriber PRIMARY KEY (id), 
	CONSTRAINT uq_subscriber_key UNIQUE ("key")
);
CREATE TABLE suppression (
	"key" VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_suppression PRIMARY KEY ("key")
);
CREATE TABLE consent (
	id INTEGER NOT NULL, 
	subscriber_id INTEGER NOT NULL, 
	newsletter_id INTEGER, 
	at DATETIME NOT NULL, 
	event VARCHAR(20) NOT NULL, 
	how VARCHAR NOT NULL, 
	vouched_by VARCHAR NOT NULL, 
	ip VARCHAR NOT NULL, 
	detail VARCHAR NOT NULL, 
	CONSTRAINT pk_consent PRIMARY KEY (id), 
	CONSTRAINT fk_consent_newsletter_id_newsletter FOREIGN KEY(newsletter_id) REFERENCES newsletter (id) ON DELETE CASCADE, 
	CONSTRAINT fk_consent_subscriber_id_subscriber FOREIGN KEY(subscriber_id) REFERENCES subscriber (id) ON DELETE CASCADE
);
CREATE INDEX ix_consent_subscriber_id ON consent (subscriber_id);
CREATE TABLE edition (
	id INTEGER NOT NULL, 
	newsletter_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	slot_at DATETIME, 
	composed_at DATETIME NOT NULL, 
	upto_seq INTEGER NOT NULL, 
	note VARCHAR NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	state_reason VARCHAR NOT NULL, 
	open_at DATETIME, 
	sender VARCHAR NOT NULL, 
	reply_to VARCHAR NOT NULL, 
	CONSTRAINT pk_edition PRIMARY KEY (id), 
	CONSTRAINT fk_edition_newsletter_id_newsletter FOREIGN KEY(newsletter_id) REFERENCES newsletter (id) ON DELETE CASCADE, 
	CONSTRAINT uq_edition_newsletter_id_number UNIQUE (newsletter_id, number), 
	CONSTRAINT uq_edition_newsletter_id_slot_at UNIQUE (newsletter_id, slot_at)
);
CREATE TABLE entry (
	id INTEGER NOT NULL, 
	feed_id INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	twin VARCHAR NOT NULL, 
	url VARCHAR NOT NULL, 
	original_url VARCHAR NOT NULL, 
	title VARCHAR NOT NULL, 
	author VARCHAR NOT NULL, 
	summary VARCHAR NOT NULL, 
	content VARCHAR NOT NULL, 
	categories JSON NOT NULL, 
	language VARCHAR NOT NULL, 
	image_url VARCHAR NOT NULL, 
	enclosures JSON NOT NULL, 
	published_at DATETIME, 
	updated_at DATETIME, 
	seen_at DATETIME NOT NULL, 
	content_hash VARCHAR NOT NULL, 
	CONSTRAINT pk_entry PRIMARY KEY (id), 
	CONSTRAINT fk_entry_feed_id_feed FOREIGN KEY(feed_id) REFERENCES feed (id) ON DELETE CASCADE, 
	CONSTRAINT uq_entry_feed_id_key UNIQUE (feed_id, "key")
);
CREATE INDEX ix_entry_feed_id ON entry (feed_id);
CREATE TABLE newsletter_feed (
	newsletter_id INTEGER NOT NULL, 
	feed_id INTEGER NOT NULL, 
	topic VARCHAR NOT NULL, 
	folder VARCHAR NOT NULL, 
	added_at DATETIME NOT NULL, places JSON DEFAULT '[]' NOT NULL, 
	CONSTRAINT pk_newsletter_feed PRIMARY KEY (newsletter_id, feed_id), 
	CONSTRAINT fk_newsletter_feed_feed_id_feed FOREIGN KEY(feed_id) REFERENCES feed (id) ON DELETE CASCADE, 
	CONSTRAINT fk_newsletter_feed_newsletter_id_newsletter FOREIGN KEY(newsletter_id) REFERENCES newsletter (id) ON DELETE CASCADE
);
CREATE INDEX ix_newsletter_feed_feed_id ON newsletter_feed (feed_id);
CREATE TABLE notice (
	id INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	email VARCHAR NOT NULL, 
	address VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	sender VARCHAR NOT NULL, 
	subject VARCHAR NOT NULL, 
	text VARCHAR NOT NULL, 
	html VARCHAR NOT NULL, 
	subscription_id INTEGER, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_notice PRIMARY KEY (id), 
	CONSTRAINT fk_notice_subscription_id_subscription FOREIGN KEY(subscription_id) REFERENCES subscription (id) ON DELETE CASCADE, 
	CONSTRAINT uq_notice_key UNIQUE ("key")
);
CREATE INDEX ix_notice_address ON notice (address);
CREATE INDEX ix_notice_subscription_id ON notice (subscription_id);
CREATE TABLE story (
	id INTEGER NOT NULL, 
	newsletter_id INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	entry_id INTEGER NOT NULL, 
	topic VARCHAR NOT NULL, 
	topic_step VARCHAR NOT NULL, 
	url VARCHAR NOT NULL, 
	title VARCHAR NOT NULL, 
	source VARCHAR NOT NULL, 
	author VARCHAR NOT NULL, 
	excerpt VARCHAR NOT NULL, 
	language VARCHAR NOT NULL, 
	image_url VARCHAR NOT NULL, 
	reading_minutes INTEGER NOT NULL, 
	published_at DATETIME NOT NULL, 
	admitted_at DATETIME NOT NULL, 
	rank FLOAT NOT NULL, 
	pinned BOOLEAN NOT NULL, 
	dropped BOOLEAN NOT NULL, 
	reasons JSON NOT NULL, 
	CONSTRAINT pk_story PRIMARY KEY (id), 
	CONSTRAINT fk_story_entry_id_entry FOREIGN KEY(entry_id) REFERENCES entry (id) ON DELETE CASCADE, 
	CONSTRAINT fk_story_newsletter_id_newsletter FOREIGN KEY(newsletter_id) REFERENCES newsletter (id) ON DELETE CASCADE, 
	CONSTRAINT uq_story_newsletter_id_seq UNIQUE (newsletter_id, seq)
);
CREATE INDEX ix_story_entry_id ON story (entry_id);
CREATE TABLE admission (
	newsletter_id INTEGER NOT NULL, 
	entry_id INTEGER NOT NULL, 
	decision VARCHAR(20) NOT NULL, 
	reason VARCHAR NOT NULL, 
	link VARCHAR NOT NULL, 
	story_id INTEGER, 
	decided_at DATETIME NOT NULL, 
	CONSTRAINT pk_admission PRIMARY KEY (newsletter_id, entry_id), 
	CONSTRAINT fk_admission_entry_id_entry FOREIGN KEY(entry_id) REFERENCES entry (id) ON DELETE CASCADE, 
	CONSTRAINT fk_admission_newsletter_id_newsletter FOREIGN KEY(newsletter_id) REFERENCES newsletter (id) ON DELETE CASCADE, 
	CONSTRAINT fk_admission_story_id_story FOREIGN KEY(story_id) REFERENCES story (id) ON DELETE CASCADE
);
CREATE INDEX ix_admission_entry_id ON admission (entry_id);
CREATE INDEX ix_admission_link ON admission (newsletter_id, link);
CREATE INDEX ix_admission_story_id ON admission (story_id);
CREATE TABLE variant_story (
	variant_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	story_id INTEGER NOT NULL, 
	CONSTRAINT pk_variant_story PRIMARY KEY (variant_id, position), 
	CONSTRAINT fk_variant_story_story_id_story FOREIGN KEY(story_id) REFERENCES story (id) ON DELETE CASCADE, 
	CONSTRAINT fk_variant_story_variant_id_variant FOREIGN KEY(variant_id) REFERENCES variant (id) ON DELETE CASCADE
);
CREATE INDEX ix_variant_story_story_id ON variant_story (story_id);
CREATE TABLE "subscription" (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	subscriber_id INTEGER NOT NULL, 
	newsletter_id INTEGER NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	paused_until DATETIME, 
	topics JSON NOT NULL, 
	read_until INTEGER NOT NULL, 
	consent VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, 
	changed_at DATETIME NOT NULL, 
	cadence VARCHAR DEFAULT '' NOT NULL, 
	hour INTEGER, 
	zone VARCHAR DEFAULT '' NOT NULL, 
	language VARCHAR DEFAULT '' NOT NULL, 
	plain BOOLEAN DEFAULT 0 NOT NULL, 
	offered_at DATETIME, 
	CONSTRAINT uq_subscription_subscriber_id_newsletter_id UNIQUE (subscriber_id, newsletter_id), 
	CONSTRAINT fk_subscription_subscriber_id_subscriber FOREIGN KEY(subscriber_id) REFERENCES subscriber (id) ON DELETE CASCADE, 
	CONSTRAINT fk_subscription_newsletter_id_newsletter FOREIGN KEY(newsletter_id) REFERENCES newsletter (id) ON DELETE CASCADE
);
CREATE INDEX ix_subscription_due ON subscription (newsletter_id, state, read_until);
CREATE TABLE signup_mail (
	id INTEGER NOT NULL, 
	address VARCHAR NOT NULL, 
	network VARCHAR NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_signup_mail PRIMARY KEY (id)
);
CREATE INDEX ix_signup_mail_address ON signup_mail (address);
CREATE INDEX ix_signup_mail_at ON signup_mail (at);
CREATE INDEX ix_story_topic ON story (newsletter_id, topic, seq);
CREATE TABLE "variant" (
	id INTEGER NOT NULL, 
	edition_id INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	since_seq INTEGER NOT NULL, 
	topics JSON NOT NULL, 
	subject VARCHAR NOT NULL, 
	html BLOB NOT NULL, 
	text BLOB NOT NULL, 
	story_count INTEGER NOT NULL, 
	more_count INTEGER NOT NULL, 
	left_out BLOB NOT NULL, 
	letters INTEGER NOT NULL, 
	language VARCHAR DEFAULT ('') NOT NULL, 
	plain BOOLEAN DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_variant PRIMARY KEY (id), 
	CONSTRAINT fk_variant_edition_id_edition FOREIGN KEY(edition_id) REFERENCES edition (id) ON DELETE CASCADE, 
	CONSTRAINT uq_variant_edition_id_key UNIQUE (edition_id, "key")
);
CREATE INDEX ix_variant_letters ON variant (edition_id, letters);
CREATE TABLE "outbox" (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	edition_id INTEGER, 
	variant_id INTEGER, 
	notice_id INTEGER, 
	subscriber_id INTEGER, 
	subscription_id INTEGER, 
	state VARCHAR(20) NOT NULL, 
	due_at DATETIME NOT NULL, 
	attempts INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	tried_at DATETIME, 
	settled_at DATETIME, 
	code INTEGER NOT NULL, 
	reply VARCHAR NOT NULL, 
	in_doubt BOOLEAN NOT NULL, 
	CONSTRAINT fk_outbox_subscriber_id_subscriber FOREIGN KEY(subscriber_id) REFERENCES subscriber (id) ON DELETE SET NULL, 
	CONSTRAINT fk_outbox_variant_id_variant FOREIGN KEY(variant_id) REFERENCES variant (id) ON DELETE CASCADE, 
	CONSTRAINT ck_outbox_variant_of_edition CHECK ((variant_id IS NULL) = (edition_id IS NULL)), 
	CONSTRAINT fk_outbox_notice_id_notice FOREIGN KEY(notice_id) REFERENCES notice (id) ON DELETE CASCADE, 
	CONSTRAINT uq_outbox_notice_id UNIQUE (notice_id), 
	CONSTRAINT fk_outbox_subscription_id_subscription FOREIGN KEY(subscription_id) REFERENCES subscription (id) ON DELETE SET NULL, 
	CONSTRAINT ck_outbox_edition_or_notice CHECK ((notice_id IS NULL) = (edition_id IS NOT NULL)), 
	CONSTRAINT uq_outbox_edition_id_subscriber_id UNIQUE (edition_id, subscriber_id), 
	CONSTRAINT fk_outbox_edition_id_edition FOREIGN KEY(edition_id) REFERENCES edition (id) ON DELETE CASCADE
);
CREATE INDEX ix_outbox_subscriber_id ON outbox (subscriber_id);
CREATE INDEX ix_outbox_subscription_id ON outbox (subscription_id);
CREATE INDEX ix_outbox_due ON outbox (edition_id, due_at, id) WHERE settled_at IS NULL;
CREATE INDEX ix_outbox_variant_id ON outbox (variant_id);
INSERT INTO alembic_version VALUES ('0003');
-- postgresql
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE erasure (
	mark VARCHAR NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_erasure PRIMARY KEY (mark)
);
CREATE TABLE feed (
	id SERIAL NOT NULL, 
	url VARCHAR NOT NULL, 
	host VARCHAR NOT NULL, 
	title VARCHAR NOT NULL, 
	site_url VARCHAR NOT NULL, 
	language VARCHAR NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	added_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	headers JSON NOT NULL, 
	former_urls JSON NOT NULL, 
	moved_to VARCHAR NOT NULL, 
	etag VARCHAR NOT NULL, 
	last_modified VARCHAR NOT NULL, 
	body_hash VARCHAR NOT NULL, 
	next_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	claimed_at TIMESTAMP WITH TIME ZONE, 
	ttl_seconds INTEGER NOT NULL, 
	skip JSON NOT NULL, 
	gap_seconds INTEGER NOT NULL, 
	entry_at TIMESTAMP WITH TIME ZONE, 
	checked_at TIMESTAMP WITH TIME ZONE, 
	ok_at TIMESTAMP WITH TIME ZONE, 
	failing_since TIMESTAMP WITH TIME ZONE, 
	failures INTEGER NOT NULL, 
	error VARCHAR NOT NULL, 
	told VARCHAR NOT NULL, 
	CONSTRAINT pk_feed PRIMARY KEY (id), 
	CONSTRAINT uq_feed_url UNIQUE (url)
);
CREATE INDEX ix_feed_host ON feed (host);
CREATE INDEX ix_feed_next_at ON feed (next_at);
CREATE TABLE newsletter (
	id SERIAL NOT NULL, 
	name VARCHAR NOT NULL, 
	seq INTEGER NOT NULL, 
	edition_number INTEGER NOT NULL, 
	slot_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	note VARCHAR NOT NULL, 
	CONSTRAINT pk_newsletter PRIMARY KEY (id), 
	CONSTRAINT uq_newsletter_name UNIQUE (name)
);
CREATE TABLE relay_hour (
	relay VARCHAR NOT NULL, 
	hour TIMESTAMP WITH TIME ZONE NOT NULL, 
	letters INTEGER NOT NULL, 
	CONSTRAINT pk_relay_hour PRIMARY KEY (relay, hour)
);
CREATE TABLE subscriber (
	id SERIAL NOT NULL, 
	email VARCHAR NOT NULL, 
	key VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	tags JSON NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_subscriber PRIMARY KEY (id), 
	CONSTRAINT uq_subscriber_key UNIQUE (key)
);
CREATE TABLE suppression (
	key VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_suppression PRIMARY KEY (key)
);
CREATE TABLE consent (
	id SERIAL NOT NULL, 
	subscriber_id INTEGER NOT NULL, 
	newsletter_id INTEGER, 
	at TIMESTAMP WITH TIME ZONE NOT NULL, 
	event VARCHAR(20) NOT NULL, 
	how VARCHAR NOT NULL, 
	vouched_by VARCHAR NOT NULL, 
	ip VARCHAR NOT NULL, 
	detail VARCHAR NOT NULL, 
	CONSTRAINT pk_consent PRIMARY KEY (id), 
	CONSTRAINT fk_consent_newsletter_id_newsletter FOREIGN KEY(newsletter_id) REFERENCES newsletter (id) ON DELETE CASCADE, 
	CONSTRAINT fk_consent_subscriber_id_subscriber FOREIGN KEY(subscriber_id) REFERENCES subscriber (id) ON DELETE CASCADE
);
CREATE INDEX ix_consent_subscriber_id ON consent (subscriber_id);
CREATE TABLE edition (
	id SERIAL NOT NULL, 
	newsletter_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	slot_at TIMESTAMP WITH TIME ZONE, 
	composed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	upto_seq INTEGER NOT NULL, 
	note VARCHAR NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	state_reason VARCHAR NOT NULL, 
	open_at TIMESTAMP WITH TIME ZONE, 
	sender VARCHAR NOT NULL, 
	reply_to VARCHAR NOT NULL, 
	CONSTRAINT pk_edition PRIMARY KEY (id), 
	CONSTRAINT fk_edition_newsletter_id_newsletter FOREIGN KEY(newsletter_id) REFERENCES newsletter (id) ON DELETE CASCADE, 
	CONSTRAINT uq_edition_newsletter_id_number UNIQUE (newsletter_id, number), 
	CONSTRAINT uq_edition_newsletter_id_slot_at UNIQUE (newsletter_id, slot_at)
);
CREATE TABLE entry (
	id SERIAL NOT NULL, 
	feed_id INTEGER NOT NULL, 
	key VARCHAR NOT NULL, 
	twin VARCHAR NOT NULL, 
	url VARCHAR NOT NULL, 
	original_url VARCHAR NOT NULL, 
	title VARCHAR NOT NULL, 
	author VARCHAR NOT NULL, 
	summary VARCHAR NOT NULL, 
	content VARCHAR NOT NULL, 
	categories JSON NOT NULL, 
	language VARCHAR NOT NULL, 
	image_url VARCHAR NOT NULL, 
	enclosures JSON NOT NULL, 
	published_at TIMESTAMP WITH TIME ZONE, 
	updated_at TIMESTAMP WITH TIME ZONE, 
	seen_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	content_hash VARCHAR NOT NULL, 
	CONSTRAINT pk_entry PRIMARY KEY (id), 
	CONSTRAINT fk_entry_feed_id_feed FOREIGN KEY(feed_id) REFERENCES feed (id) ON DELETE CASCADE, 
	CONSTRAINT uq_entry_feed_id_key UNIQUE (feed_id, key)
);
CREATE INDEX ix_entry_feed_id ON entry (feed_id);
CREATE TABLE newsletter_feed (
	newsletter_id INTEGER NOT NULL, 
	feed_id INTEGER NOT NULL, 
	topic VARCHAR NOT NULL, 
	folder VARCHAR NOT NULL, 
	added_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_newsletter_feed PRIMARY KEY (newsletter_id, feed_id), 
	CONSTRAINT fk_newsletter_feed_feed_id_feed FOREIGN KEY(feed_id) REFERENCES feed (id) ON DELETE CASCADE, 
	CONSTRAINT fk_newsletter_feed_newsletter_id_newsletter FOREIGN KEY(newsletter_id) REFERENCES newsletter (id) ON DELETE CASCADE
);
CREATE INDEX ix_newsletter_feed_feed_id ON newsletter_feed (feed_id);
CREATE TABLE subscription (
	id SERIAL NOT NULL, 
	subscriber_id INTEGER NOT NULL, 
	newsletter_id INTEGER NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	paused_until TIMESTAMP WITH TIME ZONE, 
	topics JSON NOT NULL, 
	read_until INTEGER NOT NULL, 
	consent VARCHAR NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	changed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_subscription PRIMARY KEY (id), 
	CONSTRAINT fk_subscription_newsletter_id_newsletter FOREIGN KEY(newsletter_id) REFERENCES newsletter (id) ON DELETE CASCADE, 
	CONSTRAINT fk_subscription_subscriber_id_subscriber FOREIGN KEY(subscriber_id) REFERENCES subscriber (id) ON DELETE CASCADE, 
	CONSTRAINT uq_subscription_subscriber_id_newsletter_id UNIQUE (subscriber_id, newsletter_id)
);
CREATE INDEX ix_subscription_due ON subscription (newsletter_id, state, read_until);
CREATE TABLE notice (
	id SERIAL NOT NULL, 
	key VARCHAR NOT NULL, 
	email VARCHAR NOT NULL, 
	address VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	sender VARCHAR NOT NULL, 
	subject VARCHAR NOT NULL, 
	text VARCHAR NOT NULL, 
	html VARCHAR NOT NULL, 
	subscription_id INTEGER, 
	created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_notice PRIMARY KEY (id), 
	CONSTRAINT fk_notice_subscription_id_subscription FOREIGN KEY(subscription_id) REFERENCES subscription (id) ON DELETE CASCADE, 
	CONSTRAINT uq_notice_key UNIQUE (key)
);
CREATE INDEX ix_notice_address ON notice (address);
CREATE INDEX ix_notice_subscription_id ON notice (subscription_id);
CREATE TABLE story (
	id SERIAL NOT NULL, 
	newsletter_id INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	entry_id INTEGER NOT NULL, 
	topic VARCHAR NOT NULL, 
	topic_step VARCHAR NOT NULL, 
	url VARCHAR NOT NULL, 
	title VARCHAR NOT NULL, 
	source VARCHAR NOT NULL, 
	author VARCHAR NOT NULL, 
	excerpt VARCHAR NOT NULL, 
	language VARCHAR NOT NULL, 
	image_url VARCHAR NOT NULL, 
	reading_minutes INTEGER NOT NULL, 
	published_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	admitted_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	rank FLOAT NOT NULL, 
	pinned BOOLEAN NOT NULL, 
	dropped BOOLEAN NOT NULL, 
	reasons JSON NOT NULL, 
	CONSTRAINT pk_story PRIMARY KEY (id), 
	CONSTRAINT fk_story_entry_id_entry FOREIGN KEY(entry_id) REFERENCES entry (id) ON DELETE CASCADE, 
	CONSTRAINT fk_story_newsletter_id_newsletter FOREIGN KEY(newsletter_id) REFERENCES newsletter (id) ON DELETE CASCADE, 
	CONSTRAINT uq_story_newsletter_id_seq UNIQUE (newsletter_id, seq)
);
CREATE INDEX ix_story_entry_id ON story (entry_id);
CREATE TABLE variant (
	id SERIAL NOT NULL, 
	edition_id INTEGER NOT NULL, 
	key VARCHAR NOT NULL, 
	since_seq INTEGER NOT NULL, 
	topics JSON NOT NULL, 
	subject VARCHAR NOT NULL, 
	html VARCHAR NOT NULL, 
	text VARCHAR NOT NULL, 
	story_count INTEGER NOT NULL, 
	more_count INTEGER NOT NULL, 
	left_out JSON NOT NULL, 
	letters INTEGER NOT NULL, 
	CONSTRAINT pk_variant PRIMARY KEY (id), 
	CONSTRAINT fk_variant_edition_id_edition FOREIGN KEY(edition_id) REFERENCES edition (id) ON DELETE CASCADE, 
	CONSTRAINT uq_variant_edition_id_key UNIQUE (edition_id, key)
);
CREATE TABLE admission (
	newsletter_id INTEGER NOT NULL, 
	entry_id INTEGER NOT NULL, 
	decision VARCHAR(20) NOT NULL, 
	reason VARCHAR NOT NULL, 
	link VARCHAR NOT NULL, 
	story_id INTEGER, 
	decided_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_admission PRIMARY KEY (newsletter_id, entry_id), 
	CONSTRAINT fk_admission_entry_id_entry FOREIGN KEY(entry_id) REFERENCES entry (id) ON DELETE CASCADE, 
	CONSTRAINT fk_admission_newsletter_id_newsletter FOREIGN KEY(newsletter_id) REFERENCES newsletter (id) ON DELETE CASCADE, 
	CONSTRAINT fk_admission_story_id_story FOREIGN KEY(story_id) REFERENCES story (id) ON DELETE CASCADE
);
CREATE INDEX ix_admission_entry_id ON admission (entry_id);
CREATE INDEX ix_admission_link ON admission (newsletter_id, link);
CREATE INDEX ix_admission_story_id ON admission (story_id);
CREATE TABLE outbox (
	id SERIAL NOT NULL, 
	edition_id INTEGER, 
	variant_id INTEGER, 
	notice_id INTEGER, 
	subscriber_id INTEGER, 
	subscription_id INTEGER, 
	state VARCHAR(20) NOT NULL, 
	due_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	attempts INTEGER NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	tried_at TIMESTAMP WITH TIME ZONE, 
	settled_at TIMESTAMP WITH TIME ZONE, 
	code INTEGER NOT NULL, 
	reply VARCHAR NOT NULL, 
	in_doubt BOOLEAN NOT NULL, 
	CONSTRAINT pk_outbox PRIMARY KEY (id), 
	CONSTRAINT ck_outbox_edition_or_notice CHECK ((notice_id IS NULL) = (edition_id IS NOT NULL)), 
	CONSTRAINT ck_outbox_variant_of_edition CHECK ((variant_id IS NULL) = (edition_id IS NULL)), 
	CONSTRAINT fk_outbox_edition_id_edition FOREIGN KEY(edition_id) REFERENCES edition (id) ON DELETE CASCADE, 
	CONSTRAINT fk_outbox_notice_id_notice FOREIGN KEY(notice_id) REFERENCES notice (id) ON DELETE CASCADE, 
	CONSTRAINT fk_outbox_subscriber_id_subscriber FOREIGN KEY(subscriber_id) REFERENCES subscriber (id) ON DELETE SET NULL, 
	CONSTRAINT fk_outbox_subscription_id_subscription FOREIGN KEY(subscription_id) REFERENCES subscription (id) ON DELETE SET NULL, 
	CONSTRAINT fk_outbox_variant_id_variant FOREIGN KEY(variant_id) REFERENCES variant (id) ON DELETE CASCADE, 
	CONSTRAINT uq_outbox_edition_id_subscriber_id UNIQUE (edition_id, subscriber_id), 
	CONSTRAINT uq_outbox_notice_id UNIQUE (notice_id)
);
CREATE INDEX ix_outbox_due ON outbox (edition_id, due_at, id) WHERE settled_at IS NULL;
CREATE INDEX ix_outbox_subscriber_id ON outbox (subscriber_id);
CREATE INDEX ix_outbox_subscription_id ON outbox (subscription_id);
CREATE INDEX ix_outbox_variant_id ON outbox (variant_id);
CREATE TABLE variant_story (
	variant_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	story_id INTEGER NOT NULL, 
	CONSTRAINT pk_variant_story PRIMARY KEY (variant_id, position), 
	CONSTRAINT fk_variant_story_story_id_story FOREIGN KEY(story_id) REFERENCES story (id) ON DELETE CASCADE, 
	CONSTRAINT fk_variant_story_variant_id_variant FOREIGN KEY(variant_id) REFERENCES variant (id) ON DELETE CASCADE
);
CREATE INDEX ix_variant_story_story_id ON variant_story (story_id);
INSERT INTO alembic_version (version_num) VALUES ('0001') RETURNING alembic_version.version_num;
ALTER TABLE subscription ADD COLUMN cadence VARCHAR DEFAULT '' NOT NULL;
ALTER TABLE subscription ADD COLUMN hour INTEGER;
ALTER TABLE subscription ADD COLUMN zone VARCHAR DEFAULT '' NOT NULL;
ALTER TABLE subscription ADD COLUMN language VARCHAR DEFAULT '' NOT NULL;
ALTER TABLE subscription ADD COLUMN plain BOOLEAN DEFAULT false NOT NULL;
ALTER TABLE subscription ADD COLUMN offered_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE feed ADD COLUMN published_title VARCHAR DEFAULT '' NOT NULL;
ALTER TABLE newsletter_feed ADD COLUMN places JSON DEFAULT '[]' NOT NULL;
ALTER TABLE variant ADD COLUMN language VARCHAR DEFAULT '' NOT NULL;
ALTER TABLE variant ADD COLUMN plain BOOLEAN DEFAULT false NOT NULL;
CREATE TABLE signup_mail (
	id SERIAL NOT NULL, 
	address VARCHAR NOT NULL, 
	network VARCHAR NOT NULL, 
	at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_signup_mail PRIMARY KEY (id)
);
CREATE INDEX ix_signup_mail_address ON signup_mail (address);
CREATE INDEX ix_signup_mail_at ON signup_mail (at);
CREATE INDEX ix_story_topic ON story (newsletter_id, topic, seq);
CREATE INDEX ix_variant_letters ON variant (edition_id, letters);
ALTER TABLE variant ALTER COLUMN html TYPE BYTEA USING convert_to(html::text, 'UTF8');
ALTER TABLE variant ALTER COLUMN text TYPE BYTEA USING convert_to(text::text, 'UTF8');
ALTER TABLE variant ALTER COLUMN left_out TYPE BYTEA USING convert_to(left_out::text, 'UTF8');
UPDATE alembic_version SET version_num='0002' WHERE alembic_version.version_num = '0001';
UPDATE alembic_version SET version_num='0003' WHERE alembic_version.version_num = '0002';
-- rows
INSERT INTO erasure ("mark", "created_at") VALUES ('erasure.mark 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001');
INSERT INTO erasure ("mark", "created_at") VALUES ('erasure.mark 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002');
INSERT INTO feed ("id", "url", "host", "title", "site_url", "language", "state", "added_at", "headers", "former_urls", "moved_to", "etag", "last_modified", "body_hash", "next_at", "claimed_at", "ttl_seconds", "skip", "gap_seconds", "entry_at", "checked_at", "ok_at", "failing_since", "failures", "error", "told", "published_title") VALUES (1, 'feed.url 1: ünï ''quoted'' \ 100% 🙂', 'feed.host 1: ünï ''quoted'' \ 100% 🙂', 'feed.title 1: ünï ''quoted'' \ 100% 🙂', 'feed.site_url 1: ünï ''quoted'' \ 100% 🙂', 'feed.language 1: ünï ''quoted'' \ 100% 🙂', 'active', '2026-11-22 07:00:00.000001', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', 'feed.moved_to 1: ünï ''quoted'' \ 100% 🙂', 'feed.etag 1: ünï ''quoted'' \ 100% 🙂', 'feed.last_modified 1: ünï ''quoted'' \ 100% 🙂', 'feed.body_hash 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', 1016, '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', 1016, '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', 1013, 'feed.error 1: ünï ''quoted'' \ 100% 🙂', 'feed.told 1: ünï ''quoted'' \ 100% 🙂', 'feed.published_title 1: ünï ''quoted'' \ 100% 🙂');
INSERT INTO feed ("id", "url", "host", "title", "site_url", "language", "state", "added_at", "headers", "former_urls", "moved_to", "etag", "last_modified", "body_hash", "next_at", "claimed_at", "ttl_seconds", "skip", "gap_seconds", "entry_at", "checked_at", "ok_at", "failing_since", "failures", "error", "told", "published_title") VALUES (2, 'feed.url 2: ünï ''quoted'' \ 100% 🙂', 'feed.host 2: ünï ''quoted'' \ 100% 🙂', 'feed.title 2: ünï ''quoted'' \ 100% 🙂', 'feed.site_url 2: ünï ''quoted'' \ 100% 🙂', 'feed.language 2: ünï ''quoted'' \ 100% 🙂', 'retired', '2026-11-22 08:00:00.000002', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', 'feed.moved_to 2: ünï ''quoted'' \ 100% 🙂', 'feed.etag 2: ünï ''quoted'' \ 100% 🙂', 'feed.last_modified 2: ünï ''quoted'' \ 100% 🙂', 'feed.body_hash 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', 2016, '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', 2016, '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', 2013, 'feed.error 2: ünï ''quoted'' \ 100% 🙂', 'feed.told 2: ünï ''quoted'' \ 100% 🙂', 'feed.published_title 2: ünï ''quoted'' \ 100% 🙂');
INSERT INTO newsletter ("id", "name", "seq", "edition_number", "slot_at", "note") VALUES (1, 'newsletter.name 1: ünï ''quoted'' \ 100% 🙂', 1014, 1025, '2026-11-22 07:00:00.000001', 'newsletter.note 1: ünï ''quoted'' \ 100% 🙂');
INSERT INTO newsletter ("id", "name", "seq", "edition_number", "slot_at", "note") VALUES (2, 'newsletter.name 2: ünï ''quoted'' \ 100% 🙂', 2014, 2025, '2026-11-22 08:00:00.000002', 'newsletter.note 2: ünï ''quoted'' \ 100% 🙂');
INSERT INTO relay_hour ("relay", "hour", "letters") VALUES ('relay_hour.relay 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001', 1018);
INSERT INTO relay_hour ("relay", "hour", "letters") VALUES ('relay_hour.relay 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002', 2018);
INSERT INTO signup_mail ("id", "address", "network", "at") VALUES (1, 'signup_mail.address 1: ünï ''quoted'' \ 100% 🙂', 'signup_mail.network 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001');
INSERT INTO signup_mail ("id", "address", "network", "at") VALUES (2, 'signup_mail.address 2: ünï ''quoted'' \ 100% 🙂', 'signup_mail.network 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002');
INSERT INTO subscriber ("id", "email", "key", "name", "tags", "created_at") VALUES (1, 'subscriber.email 1: ünï ''quoted'' \ 100% 🙂', 'subscriber.key 1: ünï ''quoted'' \ 100% 🙂', 'subscriber.name 1: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', '2026-11-22 07:00:00.000001');
INSERT INTO subscriber ("id", "email", "key", "name", "tags", "created_at") VALUES (2, 'subscriber.email 2: ünï ''quoted'' \ 100% 🙂', 'subscriber.key 2: ünï ''quoted'' \ 100% 🙂', 'subscriber.name 2: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', '2026-11-22 08:00:00.000002');
INSERT INTO suppression ("key", "reason", "status", "created_at") VALUES ('suppression.key 1: ünï ''quoted'' \ 100% 🙂', 'suppression.reason 1: ünï ''quoted'' \ 100% 🙂', 'suppression.status 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001');
INSERT INTO suppression ("key", "reason", "status", "created_at") VALUES ('suppression.key 2: ünï ''quoted'' \ 100% 🙂', 'suppression.reason 2: ünï ''quoted'' \ 100% 🙂', 'suppression.status 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002');
INSERT INTO consent ("id", "subscriber_id", "newsletter_id", "at", "event", "how", "vouched_by", "ip", "detail") VALUES (1, 1, 1, '2026-11-22 07:00:00.000001', 'subscribed', 'consent.how 1: ünï ''quoted'' \ 100% 🙂', 'consent.vouched_by 1: ünï ''quoted'' \ 100% 🙂', 'consent.ip 1: ünï ''quoted'' \ 100% 🙂', 'consent.detail 1: ünï ''quoted'' \ 100% 🙂');
INSERT INTO consent ("id", "subscriber_id", "newsletter_id", "at", "event", "how", "vouched_by", "ip", "detail") VALUES (2, 2, 2, '2026-11-22 08:00:00.000002', 'unsubscribed', 'consent.how 2: ünï ''quoted'' \ 100% 🙂', 'consent.vouched_by 2: ünï ''quoted'' \ 100% 🙂', 'consent.ip 2: ünï ''quoted'' \ 100% 🙂', 'consent.detail 2: ünï ''quoted'' \ 100% 🙂');
INSERT INTO edition ("id", "newsletter_id", "number", "slot_at", "composed_at", "upto_seq", "note", "state", "state_reason", "open_at", "sender", "reply_to") VALUES (1, 1, 1014, '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', 1016, 'edition.note 1: ünï ''quoted'' \ 100% 🙂', 'open', 'edition.state_reason 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001', 'edition.sender 1: ünï ''quoted'' \ 100% 🙂', 'edition.reply_to 1: ünï ''quoted'' \ 100% 🙂');
INSERT INTO edition ("id", "newsletter_id", "number", "slot_at", "composed_at", "upto_seq", "note", "state", "state_reason", "open_at", "sender", "reply_to") VALUES (2, 2, 2014, '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', 2016, 'edition.note 2: ünï ''quoted'' \ 100% 🙂', 'paused', 'edition.state_reason 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002', 'edition.sender 2: ünï ''quoted'' \ 100% 🙂', 'edition.reply_to 2: ünï ''quoted'' \ 100% 🙂');
INSERT INTO entry ("id", "feed_id", "key", "twin", "url", "original_url", "title", "author", "summary", "content", "categories", "language", "image_url", "enclosures", "published_at", "updated_at", "seen_at", "content_hash") VALUES (1, 1, 'entry.key 1: ünï ''quoted'' \ 100% 🙂', 'entry.twin 1: ünï ''quoted'' \ 100% 🙂', 'entry.url 1: ünï ''quoted'' \ 100% 🙂', 'entry.original_url 1: ünï ''quoted'' \ 100% 🙂', 'entry.title 1: ünï ''quoted'' \ 100% 🙂', 'entry.author 1: ünï ''quoted'' \ 100% 🙂', 'entry.summary 1: ünï ''quoted'' \ 100% 🙂', 'entry.content 1: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', 'entry.language 1: ünï ''quoted'' \ 100% 🙂', 'entry.image_url 1: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', 'entry.content_hash 1: ünï ''quoted'' \ 100% 🙂');
INSERT INTO entry ("id", "feed_id", "key", "twin", "url", "original_url", "title", "author", "summary", "content", "categories", "language", "image_url", "enclosures", "published_at", "updated_at", "seen_at", "content_hash") VALUES (2, 2, 'entry.key 2: ünï ''quoted'' \ 100% 🙂', 'entry.twin 2: ünï ''quoted'' \ 100% 🙂', 'entry.url 2: ünï ''quoted'' \ 100% 🙂', 'entry.original_url 2: ünï ''quoted'' \ 100% 🙂', 'entry.title 2: ünï ''quoted'' \ 100% 🙂', 'entry.author 2: ünï ''quoted'' \ 100% 🙂', 'entry.summary 2: ünï ''quoted'' \ 100% 🙂', 'entry.content 2: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', 'entry.language 2: ünï ''quoted'' \ 100% 🙂', 'entry.image_url 2: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', 'entry.content_hash 2: ünï ''quoted'' \ 100% 🙂');
INSERT INTO newsletter_feed ("newsletter_id", "feed_id", "topic", "folder", "added_at", "places") VALUES (1, 1, 'newsletter_feed.topic 1: ünï ''quoted'' \ 100% 🙂', 'newsletter_feed.folder 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}');
INSERT INTO newsletter_feed ("newsletter_id", "feed_id", "topic", "folder", "added_at", "places") VALUES (2, 2, 'newsletter_feed.topic 2: ünï ''quoted'' \ 100% 🙂', 'newsletter_feed.folder 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}');
INSERT INTO subscription ("id", "subscriber_id", "newsletter_id", "state", "paused_until", "topics", "read_until", "consent", "created_at", "changed_at", "cadence", "hour", "zone", "language", "plain", "offered_at") VALUES (1, 1, 1, 'active', '2026-11-22 07:00:00.000001', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', 1023, 'subscription.consent 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', 'subscription.cadence 1: ünï ''quoted'' \ 100% 🙂', 1017, 'subscription.zone 1: ünï ''quoted'' \ 100% 🙂', 'subscription.language 1: ünï ''quoted'' \ 100% 🙂', TRUE, '2026-11-22 07:00:00.000001');
INSERT INTO subscription ("id", "subscriber_id", "newsletter_id", "state", "paused_until", "topics", "read_until", "consent", "created_at", "changed_at", "cadence", "hour", "zone", "language", "plain", "offered_at") VALUES (2, 2, 2, 'unsubscribed', '2026-11-22 08:00:00.000002', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', 2023, 'subscription.consent 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', 'subscription.cadence 2: ünï ''quoted'' \ 100% 🙂', 2017, 'subscription.zone 2: ünï ''quoted'' \ 100% 🙂', 'subscription.language 2: ünï ''quoted'' \ 100% 🙂', FALSE, '2026-11-22 08:00:00.000002');
INSERT INTO notice ("id", "key", "email", "address", "name", "sender", "subject", "text", "html", "subscription_id", "created_at") VALUES (1, 'notice.key 1: ünï ''quoted'' \ 100% 🙂', 'notice.email 1: ünï ''quoted'' \ 100% 🙂', 'notice.address 1: ünï ''quoted'' \ 100% 🙂', 'notice.name 1: ünï ''quoted'' \ 100% 🙂', 'notice.sender 1: ünï ''quoted'' \ 100% 🙂', 'notice.subject 1: ünï ''quoted'' \ 100% 🙂', 'notice.text 1: ünï ''quoted'' \ 100% 🙂', 'notice.html 1: ünï ''quoted'' \ 100% 🙂', 1, '2026-11-22 07:00:00.000001');
INSERT INTO notice ("id", "key", "email", "address", "name", "sender", "subject", "text", "html", "subscription_id", "created_at") VALUES (2, 'notice.key 2: ünï ''quoted'' \ 100% 🙂', 'notice.email 2: ünï ''quoted'' \ 100% 🙂', 'notice.address 2: ünï ''quoted'' \ 100% 🙂', 'notice.name 2: ünï ''quoted'' \ 100% 🙂', 'notice.sender 2: ünï ''quoted'' \ 100% 🙂', 'notice.subject 2: ünï ''quoted'' \ 100% 🙂', 'notice.text 2: ünï ''quoted'' \ 100% 🙂', 'notice.html 2: ünï ''quoted'' \ 100% 🙂', 2, '2026-11-22 08:00:00.000002');
INSERT INTO story ("id", "newsletter_id", "seq", "entry_id", "topic", "topic_step", "url", "title", "source", "author", "excerpt", "language", "image_url", "reading_minutes", "published_at", "admitted_at", "rank", "pinned", "dropped", "reasons") VALUES (1, 1, 1009, 1, 'story.topic 1: ünï ''quoted'' \ 100% 🙂', 'story.topic_step 1: ünï ''quoted'' \ 100% 🙂', 'story.url 1: ünï ''quoted'' \ 100% 🙂', 'story.title 1: ünï ''quoted'' \ 100% 🙂', 'story.source 1: ünï ''quoted'' \ 100% 🙂', 'story.author 1: ünï ''quoted'' \ 100% 🙂', 'story.excerpt 1: ünï ''quoted'' \ 100% 🙂', 'story.language 1: ünï ''quoted'' \ 100% 🙂', 'story.image_url 1: ünï ''quoted'' \ 100% 🙂', 1021, '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', 1.1, TRUE, TRUE, '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}');
INSERT INTO story ("id", "newsletter_id", "seq", "entry_id", "topic", "topic_step", "url", "title", "source", "author", "excerpt", "language", "image_url", "reading_minutes", "published_at", "admitted_at", "rank", "pinned", "dropped", "reasons") VALUES (2, 2, 2009, 2, 'story.topic 2: ünï ''quoted'' \ 100% 🙂', 'story.topic_step 2: ünï ''quoted'' \ 100% 🙂', 'story.url 2: ünï ''quoted'' \ 100% 🙂', 'story.title 2: ünï ''quoted'' \ 100% 🙂', 'story.source 2: ünï ''quoted'' \ 100% 🙂', 'story.author 2: ünï ''quoted'' \ 100% 🙂', 'story.excerpt 2: ünï ''quoted'' \ 100% 🙂', 'story.language 2: ünï ''quoted'' \ 100% 🙂', 'story.image_url 2: ünï ''quoted'' \ 100% 🙂', 2021, '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', 2.1, FALSE, FALSE, '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}');
INSERT INTO variant ("id", "edition_id", "key", "since_seq", "topics", "subject", "html", "text", "story_count", "more_count", "left_out", "letters", "language", "plain") VALUES (1, 1, 'variant.key 1: ünï ''quoted'' \ 100% 🙂', 1017, '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', 'variant.subject 1: ünï ''quoted'' \ 100% 🙂', X'76617269616e742e68746d6c20313a20c3bc6ec3af202771756f74656427205c203130302520f09f9982000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff', X'76617269616e742e7465787420313a20c3bc6ec3af202771756f74656427205c203130302520f09f9982000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff', 1019, 1018, X'76617269616e742e6c6566745f6f757420313a20c3bc6ec3af202771756f74656427205c203130302520f09f9982000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff', 1015, 'variant.language 1: ünï ''quoted'' \ 100% 🙂', TRUE);
INSERT INTO variant ("id", "edition_id", "key", "since_seq", "topics", "subject", "html", "text", "story_count", "more_count", "left_out", "letters", "language", "plain") VALUES (2, 2, 'variant.key 2: ünï ''quoted'' \ 100% 🙂', 2017, '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', 'variant.subject 2: ünï ''quoted'' \ 100% 🙂', X'76617269616e742e68746d6c20323a20c3bc6ec3af202771756f74656427205c203130302520f09f9982', X'76617269616e742e7465787420323a20c3bc6ec3af202771756f74656427205c203130302520f09f9982', 2019, 2018, X'76617269616e742e6c6566745f6f757420323a20c3bc6ec3af202771756f74656427205c203130302520f09f9982', 2015, 'variant.language 2: ünï ''quoted'' \ 100% 🙂', FALSE);
INSERT INTO admission ("newsletter_id", "entry_id", "decision", "reason", "link", "story_id", "decided_at") VALUES (1, 1, 'story', 'admission.reason 1: ünï ''quoted'' \ 100% 🙂', 'admission.link 1: ünï ''quoted'' \ 100% 🙂', 1, '2026-11-22 07:00:00.000001');
INSERT INTO admission ("newsletter_id", "entry_id", "decision", "reason", "link", "story_id", "decided_at") VALUES (2, 2, 'held', 'admission.reason 2: ünï ''quoted'' \ 100% 🙂', 'admission.link 2: ünï ''quoted'' \ 100% 🙂', 2, '2026-11-22 08:00:00.000002');
INSERT INTO outbox ("id", "edition_id", "variant_id", "notice_id", "subscriber_id", "subscription_id", "state", "due_at", "attempts", "created_at", "tried_at", "settled_at", "code", "reply", "in_doubt") VALUES (1, 1, 1, NULL, 1, 1, 'sent', '2026-11-22 07:00:00.000001', 1015, '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', 1011, 'outbox.reply 1: ünï ''quoted'' \ 100% 🙂', TRUE);
INSERT INTO outbox ("id", "edition_id", "variant_id", "notice_id", "subscriber_id", "subscription_id", "state", "due_at", "attempts", "created_at", "tried_at", "settled_at", "code", "reply", "in_doubt") VALUES (2, NULL, NULL, 2, 2, 2, 'refused', '2026-11-22 08:00:00.000002', 2015, '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', 2011, 'outbox.reply 2: ünï ''quoted'' \ 100% 🙂', FALSE);
INSERT INTO variant_story ("variant_id", "position", "story_id") VALUES (1, 1022, 1);
INSERT INTO variant_story ("variant_id", "position", "story_id") VALUES (2, 2022, 2);
-- numbers
SELECT setval(pg_get_serial_sequence('feed', 'id'), 2);
SELECT setval(pg_get_serial_sequence('newsletter', 'id'), 2);
SELECT setval(pg_get_serial_sequence('signup_mail', 'id'), 2);
SELECT setval(pg_get_serial_sequence('subscriber', 'id'), 2);
SELECT setval(pg_get_serial_sequence('consent', 'id'), 2);
SELECT setval(pg_get_serial_sequence('edition', 'id'), 2);
SELECT setval(pg_get_serial_sequence('entry', 'id'), 2);
SELECT setval(pg_get_serial_sequence('subscription', 'id'), 2);
SELECT setval(pg_get_serial_sequence('notice', 'id'), 2);
SELECT setval(pg_get_serial_sequence('story', 'id'), 2);
SELECT setval(pg_get_serial_sequence('variant', 'id'), 2);
SELECT setval(pg_get_serial_sequence('outbox', 'id'), 2);
