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
	told VARCHAR NOT NULL, published_title VARCHAR DEFAULT '' NOT NULL, answered_by VARCHAR DEFAULT '' NOT NULL, proxy VARCHAR DEFAULT '' NOT NULL, ca_file VARCHAR DEFAULT '' NOT NULL, interval_minutes INTEGER DEFAULT '0' NOT NULL, identity VARCHAR DEFAULT '' NOT NULL, evidence JSON DEFAULT '{}' NOT NULL, window JSON DEFAULT '[]' NOT NULL, settle_minutes FLOAT, full_text BOOLEAN DEFAULT 0 NOT NULL, weight FLOAT, keep JSON DEFAULT '[]' NOT NULL, "drop" JSON DEFAULT '[]' NOT NULL, trouble JSON DEFAULT '[]' NOT NULL, recipe JSON DEFAULT '{}' NOT NULL, 
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
	created_at DATETIME NOT NULL, fields JSON DEFAULT '{}' NOT NULL, 
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
	content_hash VARCHAR NOT NULL, gist BLOB, fault VARCHAR DEFAULT '' NOT NULL, guid VARCHAR, text_hash VARCHAR DEFAULT '' NOT NULL, changed_at DATETIME, withdrawn_at DATETIME, points INTEGER, 
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
	offered_at DATETIME, chosen_from JSON DEFAULT '{}' NOT NULL, awaits_welcome BOOLEAN DEFAULT 0 NOT NULL, taste JSON DEFAULT '{}' NOT NULL, taste_key VARCHAR DEFAULT '' NOT NULL, 
	CONSTRAINT uq_subscription_subscriber_id_newsletter_id UNIQUE (subscriber_id, newsletter_id), 
	CONSTRAINT fk_subscription_newsletter_id_newsletter FOREIGN KEY(newsletter_id) REFERENCES newsletter (id) ON DELETE CASCADE, 
	CONSTRAINT fk_subscription_subscriber_id_subscriber FOREIGN KEY(subscriber_id) REFERENCES subscriber (id) ON DELETE CASCADE
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
	plain BOOLEAN DEFAULT 0 NOT NULL, marks VARCHAR DEFAULT '' NOT NULL, chosen_from JSON DEFAULT '{}' NOT NULL, max_stories INTEGER DEFAULT '0' NOT NULL, muted JSON DEFAULT '[]' NOT NULL, 
	CONSTRAINT pk_variant PRIMARY KEY (id), 
	CONSTRAINT uq_variant_edition_id_key UNIQUE (edition_id, "key"), 
	CONSTRAINT fk_variant_edition_id_edition FOREIGN KEY(edition_id) REFERENCES edition (id) ON DELETE CASCADE
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
	in_doubt BOOLEAN NOT NULL, newsletter_id INTEGER, relay VARCHAR DEFAULT '' NOT NULL, 
	CONSTRAINT fk_outbox_edition_id_edition FOREIGN KEY(edition_id) REFERENCES edition (id) ON DELETE CASCADE, 
	CONSTRAINT fk_outbox_variant_id_variant FOREIGN KEY(variant_id) REFERENCES variant (id) ON DELETE CASCADE, 
	CONSTRAINT uq_outbox_edition_id_subscriber_id UNIQUE (edition_id, subscriber_id), 
	CONSTRAINT ck_outbox_edition_or_notice CHECK ((notice_id IS NULL) = (edition_id IS NOT NULL)), 
	CONSTRAINT ck_outbox_variant_of_edition CHECK ((variant_id IS NULL) = (edition_id IS NULL)), 
	CONSTRAINT uq_outbox_notice_id UNIQUE (notice_id), 
	CONSTRAINT fk_outbox_subscription_id_subscription FOREIGN KEY(subscription_id) REFERENCES subscription (id) ON DELETE SET NULL, 
	CONSTRAINT fk_outbox_notice_id_notice FOREIGN KEY(notice_id) REFERENCES notice (id) ON DELETE CASCADE, 
	CONSTRAINT fk_outbox_subscriber_id_subscriber FOREIGN KEY(subscriber_id) REFERENCES subscriber (id) ON DELETE SET NULL
);
CREATE INDEX ix_outbox_due ON outbox (edition_id, due_at, id) WHERE settled_at IS NULL;
CREATE INDEX ix_outbox_variant_id ON outbox (variant_id);
CREATE INDEX ix_outbox_subscriber_id ON outbox (subscriber_id);
CREATE INDEX ix_outbox_subscription_id ON outbox (subscription_id);
CREATE TABLE refusal_count (
	edition_id INTEGER NOT NULL, 
	since DATETIME NOT NULL, 
	sent INTEGER NOT NULL, 
	refused INTEGER NOT NULL, 
	gone INTEGER NOT NULL, 
	content INTEGER NOT NULL, 
	quarantined BOOLEAN NOT NULL, 
	CONSTRAINT pk_refusal_count PRIMARY KEY (edition_id, since), 
	CONSTRAINT fk_refusal_count_edition_id_edition FOREIGN KEY(edition_id) REFERENCES edition (id) ON DELETE CASCADE
);
CREATE TABLE run_day (
	day DATETIME NOT NULL, 
	CONSTRAINT pk_run_day PRIMARY KEY (day)
);
CREATE INDEX ix_entry_fault ON entry (feed_id) WHERE fault <> '';
CREATE TABLE host (
	name VARCHAR NOT NULL, 
	held_until DATETIME, 
	pace_seconds FLOAT NOT NULL, 
	asked_at DATETIME, 
	said VARCHAR NOT NULL, 
	said_at DATETIME, 
	CONSTRAINT pk_host PRIMARY KEY (name)
);
CREATE INDEX ix_feed_checked_at ON feed (checked_at);
CREATE TABLE signup_wait (
	id INTEGER NOT NULL, 
	newsletter_id INTEGER NOT NULL, 
	email VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	choices JSON NOT NULL, 
	how VARCHAR NOT NULL, 
	ip VARCHAR NOT NULL, 
	network VARCHAR NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_signup_wait PRIMARY KEY (id), 
	CONSTRAINT fk_signup_wait_newsletter_id_newsletter FOREIGN KEY(newsletter_id) REFERENCES newsletter (id) ON DELETE CASCADE
);
CREATE INDEX ix_signup_wait_newsletter_id ON signup_wait (newsletter_id);
CREATE INDEX ix_signup_wait_key ON signup_wait ("key");
CREATE INDEX ix_signup_wait_network ON signup_wait (network);
CREATE TABLE signup_refusal (
	day DATETIME NOT NULL, 
	number INTEGER NOT NULL, 
	CONSTRAINT pk_signup_refusal PRIMARY KEY (day)
);
CREATE TABLE former_name (
	newsletter_id INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	old VARCHAR NOT NULL, 
	new VARCHAR NOT NULL, 
	CONSTRAINT pk_former_name PRIMARY KEY (newsletter_id, kind, old), 
	CONSTRAINT fk_former_name_newsletter_id_newsletter FOREIGN KEY(newsletter_id) REFERENCES newsletter (id) ON DELETE CASCADE
);
CREATE TABLE list_import (
	id INTEGER NOT NULL, 
	newsletter_id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	at DATETIME NOT NULL, 
	vouched_by VARCHAR NOT NULL, 
	counts JSON NOT NULL, 
	consent_from INTEGER NOT NULL, 
	consent_to INTEGER NOT NULL, 
	undone_at DATETIME, 
	CONSTRAINT pk_list_import PRIMARY KEY (id), 
	CONSTRAINT fk_list_import_newsletter_id_newsletter FOREIGN KEY(newsletter_id) REFERENCES newsletter (id) ON DELETE CASCADE
);
CREATE TABLE import_change (
	"key" VARCHAR NOT NULL, 
	import_id INTEGER NOT NULL, 
	what VARCHAR NOT NULL, 
	stamp INTEGER NOT NULL, 
	state VARCHAR NOT NULL, 
	paused_until DATETIME, 
	read_until INTEGER, 
	reason VARCHAR NOT NULL, 
	"before" JSON, consent_to INTEGER, 
	CONSTRAINT pk_import_change PRIMARY KEY ("key", import_id), 
	CONSTRAINT fk_import_change_import_id_list_import FOREIGN KEY(import_id) REFERENCES list_import (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE full_text (
	entry_id INTEGER NOT NULL, 
	tries INTEGER NOT NULL, 
	next_at DATETIME NOT NULL, 
	asked_at DATETIME NOT NULL, 
	why VARCHAR NOT NULL, 
	text BLOB NOT NULL, 
	gist BLOB, 
	link VARCHAR NOT NULL, 
	CONSTRAINT pk_full_text PRIMARY KEY (entry_id), 
	CONSTRAINT fk_full_text_entry_id_entry FOREIGN KEY(entry_id) REFERENCES entry (id) ON DELETE CASCADE
);
CREATE INDEX ix_full_text_link ON full_text (link);
CREATE TABLE robots (
	origin VARCHAR NOT NULL, 
	rules BLOB NOT NULL, 
	read_at DATETIME NOT NULL, 
	CONSTRAINT pk_robots PRIMARY KEY (origin)
);
CREATE TABLE api_key (
	id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	prefix VARCHAR NOT NULL, 
	hash VARCHAR NOT NULL, 
	newsletters JSON NOT NULL, 
	verbs JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	used_at DATETIME, 
	expires_at DATETIME, 
	revoked_at DATETIME, 
	CONSTRAINT pk_api_key PRIMARY KEY (id), 
	CONSTRAINT uq_api_key_name UNIQUE (name), 
	CONSTRAINT uq_api_key_prefix UNIQUE (prefix)
);
CREATE TABLE api_answer (
	id INTEGER NOT NULL, 
	key_id INTEGER NOT NULL, 
	mark VARCHAR NOT NULL, 
	fingerprint VARCHAR NOT NULL, 
	at DATETIME NOT NULL, 
	attempt INTEGER NOT NULL, 
	status INTEGER NOT NULL, 
	headers JSON NOT NULL, 
	body TEXT NOT NULL, 
	person VARCHAR NOT NULL, 
	CONSTRAINT pk_api_answer PRIMARY KEY (id), 
	CONSTRAINT fk_api_answer_key_id_api_key FOREIGN KEY(key_id) REFERENCES api_key (id) ON DELETE CASCADE, 
	CONSTRAINT uq_api_answer_key_id_mark UNIQUE (key_id, mark)
);
CREATE INDEX ix_api_answer_at ON api_answer (at);
CREATE INDEX ix_api_answer_person ON api_answer (person);
CREATE TABLE webhook (
	id INTEGER NOT NULL, 
	url VARCHAR NOT NULL, 
	secret VARCHAR NOT NULL, 
	events JSON NOT NULL, 
	newsletters JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	after_edition INTEGER NOT NULL, 
	ok_at DATETIME, 
	failing_since DATETIME, 
	error VARCHAR NOT NULL, 
	disabled_at DATETIME, 
	CONSTRAINT pk_webhook PRIMARY KEY (id)
);
CREATE TABLE webhook_event (
	id INTEGER NOT NULL, 
	webhook_id INTEGER NOT NULL, 
	message VARCHAR NOT NULL, 
	event VARCHAR NOT NULL, 
	person VARCHAR NOT NULL, 
	body TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	due_at DATETIME NOT NULL, 
	attempts INTEGER NOT NULL, 
	settled_at DATETIME, 
	status INTEGER NOT NULL, 
	error VARCHAR NOT NULL, 
	CONSTRAINT pk_webhook_event PRIMARY KEY (id), 
	CONSTRAINT fk_webhook_event_webhook_id_webhook FOREIGN KEY(webhook_id) REFERENCES webhook (id) ON DELETE CASCADE, 
	CONSTRAINT uq_webhook_event_webhook_id_message UNIQUE (webhook_id, message)
);
CREATE INDEX ix_webhook_event_person ON webhook_event (person);
CREATE INDEX ix_webhook_event_settled_at ON webhook_event (settled_at);
CREATE INDEX ix_webhook_event_due ON webhook_event (webhook_id, due_at, id) WHERE settled_at IS NULL;
CREATE TABLE mail_report (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	hash VARCHAR NOT NULL, 
	source VARCHAR NOT NULL, 
	read_at DATETIME NOT NULL, 
	said_at DATETIME, 
	kind VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	feedback VARCHAR NOT NULL, 
	proof VARCHAR NOT NULL, 
	address VARCHAR NOT NULL, 
	domain VARCHAR NOT NULL, 
	act VARCHAR NOT NULL, 
	why VARCHAR NOT NULL, 
	sender VARCHAR NOT NULL, 
	subject VARCHAR NOT NULL, 
	text VARCHAR NOT NULL, 
	outbox_id INTEGER, 
	edition_id INTEGER, 
	subscriber_id INTEGER, 
	subscription_id INTEGER, 
	written_at DATETIME, 
	"before" JSON, 
	undone_at DATETIME, 
	done_at DATETIME, 
	copies INTEGER NOT NULL, 
	raw BLOB, 
	CONSTRAINT fk_mail_report_outbox_id_outbox FOREIGN KEY(outbox_id) REFERENCES outbox (id) ON DELETE SET NULL, 
	CONSTRAINT fk_mail_report_edition_id_edition FOREIGN KEY(edition_id) REFERENCES edition (id) ON DELETE SET NULL, 
	CONSTRAINT fk_mail_report_subscriber_id_subscriber FOREIGN KEY(subscriber_id) REFERENCES subscriber (id) ON DELETE SET NULL, 
	CONSTRAINT fk_mail_report_subscription_id_subscription FOREIGN KEY(subscription_id) REFERENCES subscription (id) ON DELETE SET NULL, 
	CONSTRAINT uq_mail_report_hash UNIQUE (hash)
);
CREATE INDEX ix_mail_report_read_at ON mail_report (read_at);
CREATE INDEX ix_mail_report_outbox_id ON mail_report (outbox_id);
CREATE INDEX ix_mail_report_edition_id ON mail_report (edition_id);
CREATE INDEX ix_mail_report_subscriber_id ON mail_report (subscriber_id);
CREATE INDEX ix_mail_report_address ON mail_report (address);
CREATE INDEX ix_mail_report_kept ON mail_report (read_at) WHERE raw IS NOT NULL;
CREATE INDEX ix_mail_report_unproven ON mail_report (id) WHERE proof = '';
CREATE TABLE mail_source (
	name VARCHAR NOT NULL, 
	mark VARCHAR NOT NULL, 
	read_at DATETIME NOT NULL, 
	CONSTRAINT pk_mail_source PRIMARY KEY (name)
);
CREATE INDEX ix_outbox_notices ON outbox (newsletter_id, due_at, id) WHERE settled_at IS NULL AND edition_id IS NULL;
CREATE TABLE feed_list (
	newsletter_id INTEGER NOT NULL, 
	url VARCHAR NOT NULL, 
	format VARCHAR NOT NULL, 
	folders JSON NOT NULL, 
	CONSTRAINT pk_feed_list PRIMARY KEY (newsletter_id, url), 
	CONSTRAINT fk_feed_list_newsletter_id_newsletter FOREIGN KEY(newsletter_id) REFERENCES newsletter (id) ON DELETE CASCADE
);
CREATE TABLE websub (
	feed_id INTEGER NOT NULL, 
	hub VARCHAR NOT NULL, 
	topic VARCHAR NOT NULL, 
	token VARCHAR NOT NULL, 
	secret VARCHAR NOT NULL, 
	pending VARCHAR NOT NULL, 
	due_at DATETIME NOT NULL, 
	lease_until DATETIME, 
	verified_at DATETIME, 
	pinged_at DATETIME, 
	missed INTEGER NOT NULL, 
	failures INTEGER NOT NULL, 
	error VARCHAR NOT NULL, 
	CONSTRAINT pk_websub PRIMARY KEY (feed_id), 
	CONSTRAINT fk_websub_feed_id_feed FOREIGN KEY(feed_id) REFERENCES feed (id) ON DELETE CASCADE, 
	CONSTRAINT uq_websub_token UNIQUE (token)
);
CREATE INDEX ix_websub_due_at ON websub (due_at);
CREATE INDEX ix_subscription_taste ON subscription (newsletter_id, taste_key) WHERE taste_key <> '';
CREATE TABLE mail_feed (
	feed_id INTEGER NOT NULL, 
	senders JSON NOT NULL, 
	CONSTRAINT pk_mail_feed PRIMARY KEY (feed_id), 
	CONSTRAINT fk_mail_feed_feed_id_feed FOREIGN KEY(feed_id) REFERENCES feed (id) ON DELETE CASCADE
);
CREATE TABLE installation (
	id VARCHAR NOT NULL, 
	tick INTEGER NOT NULL, 
	witnesses JSON DEFAULT '{}' NOT NULL, 
	CONSTRAINT pk_installation PRIMARY KEY (id)
);
CREATE TABLE witnessed_entry (
	newsletter_id INTEGER NOT NULL, 
	mark VARCHAR NOT NULL, 
	seq INTEGER NOT NULL, 
	CONSTRAINT pk_witnessed_entry PRIMARY KEY (newsletter_id, mark)
);
CREATE TABLE run (
	id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	command VARCHAR NOT NULL, 
	process VARCHAR NOT NULL, 
	began_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	exit_code INTEGER, 
	trouble VARCHAR NOT NULL, 
	steps JSON NOT NULL, 
	newsletters JSON NOT NULL, 
	CONSTRAINT pk_run PRIMARY KEY (id), 
	CONSTRAINT uq_run_name UNIQUE (name)
);
CREATE INDEX ix_run_began_at ON run (began_at);
CREATE TABLE tally (
	name VARCHAR NOT NULL, 
	total BIGINT NOT NULL, 
	CONSTRAINT pk_tally PRIMARY KEY (name)
);
CREATE TABLE feed_seen (
	newsletter_id INTEGER NOT NULL, 
	feed_id INTEGER NOT NULL, 
	tool VARCHAR NOT NULL, 
	marks BLOB NOT NULL, 
	until DATETIME, 
	by_date BOOLEAN NOT NULL, 
	CONSTRAINT pk_feed_seen PRIMARY KEY (newsletter_id, feed_id), 
	CONSTRAINT fk_feed_seen_feed_id_feed FOREIGN KEY(feed_id) REFERENCES feed (id) ON DELETE CASCADE, 
	CONSTRAINT fk_feed_seen_newsletter_id_newsletter FOREIGN KEY(newsletter_id) REFERENCES newsletter (id) ON DELETE CASCADE
);
CREATE INDEX ix_feed_seen_feed_id ON feed_seen (feed_id);
CREATE TABLE alert (
	"key" VARCHAR NOT NULL, 
	since DATETIME NOT NULL, 
	title VARCHAR NOT NULL, 
	words VARCHAR NOT NULL, 
	cure VARCHAR NOT NULL, 
	names JSON NOT NULL, 
	told_at DATETIME, 
	last_at DATETIME, 
	gone_at DATETIME, 
	well_at DATETIME, 
	turns INTEGER NOT NULL, 
	CONSTRAINT pk_alert PRIMARY KEY ("key")
);
CREATE TABLE alert_telling (
	name VARCHAR NOT NULL, 
	channel VARCHAR NOT NULL, 
	word JSON NOT NULL, 
	made_at DATETIME NOT NULL, 
	taken_until DATETIME, 
	settled_at DATETIME, 
	tries INTEGER NOT NULL, 
	error VARCHAR NOT NULL, 
	CONSTRAINT pk_alert_telling PRIMARY KEY (name, channel)
);
CREATE INDEX ix_outbox_held ON outbox (id) WHERE state = 'held';
INSERT INTO alembic_version VALUES ('0025');
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
CREATE TABLE refusal_count (
	edition_id INTEGER NOT NULL, 
	since TIMESTAMP WITH TIME ZONE NOT NULL, 
	sent INTEGER NOT NULL, 
	refused INTEGER NOT NULL, 
	gone INTEGER NOT NULL, 
	content INTEGER NOT NULL, 
	quarantined BOOLEAN NOT NULL, 
	CONSTRAINT pk_refusal_count PRIMARY KEY (edition_id, since), 
	CONSTRAINT fk_refusal_count_edition_id_edition FOREIGN KEY(edition_id) REFERENCES edition (id) ON DELETE CASCADE
);
UPDATE alembic_version SET version_num='0004' WHERE alembic_version.version_num = '0003';
CREATE TABLE run_day (
	day TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_run_day PRIMARY KEY (day)
);
UPDATE alembic_version SET version_num='0005' WHERE alembic_version.version_num = '0004';
ALTER TABLE variant ADD COLUMN marks VARCHAR DEFAULT '' NOT NULL;
UPDATE alembic_version SET version_num='0006' WHERE alembic_version.version_num = '0005';
ALTER TABLE entry ADD COLUMN gist BYTEA;
ALTER TABLE entry ADD COLUMN fault VARCHAR DEFAULT '' NOT NULL;
CREATE INDEX ix_entry_fault ON entry (feed_id) WHERE fault <> '';
UPDATE alembic_version SET version_num='0007' WHERE alembic_version.version_num = '0006';
CREATE TABLE host (
	name VARCHAR NOT NULL, 
	held_until TIMESTAMP WITH TIME ZONE, 
	pace_seconds FLOAT NOT NULL, 
	asked_at TIMESTAMP WITH TIME ZONE, 
	said VARCHAR NOT NULL, 
	said_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_host PRIMARY KEY (name)
);
ALTER TABLE feed ADD COLUMN answered_by VARCHAR DEFAULT '' NOT NULL;
ALTER TABLE feed ADD COLUMN proxy VARCHAR DEFAULT '' NOT NULL;
ALTER TABLE feed ADD COLUMN ca_file VARCHAR DEFAULT '' NOT NULL;
ALTER TABLE feed ADD COLUMN interval_minutes INTEGER DEFAULT '0' NOT NULL;
CREATE INDEX ix_feed_checked_at ON feed (checked_at);
UPDATE alembic_version SET version_num='0008' WHERE alembic_version.version_num = '0007';
ALTER TABLE feed ADD COLUMN identity VARCHAR DEFAULT '' NOT NULL;
ALTER TABLE feed ADD COLUMN evidence JSON DEFAULT '{}' NOT NULL;
ALTER TABLE feed ADD COLUMN "window" JSON DEFAULT '[]' NOT NULL;
ALTER TABLE feed ADD COLUMN settle_minutes FLOAT;
ALTER TABLE entry ADD COLUMN guid VARCHAR;
ALTER TABLE entry ADD COLUMN text_hash VARCHAR DEFAULT '' NOT NULL;
ALTER TABLE entry ADD COLUMN changed_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE entry ADD COLUMN withdrawn_at TIMESTAMP WITH TIME ZONE;
UPDATE alembic_version SET version_num='0009' WHERE alembic_version.version_num = '0008';
CREATE TABLE signup_wait (
	id SERIAL NOT NULL, 
	newsletter_id INTEGER NOT NULL, 
	email VARCHAR NOT NULL, 
	key VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	choices JSON NOT NULL, 
	how VARCHAR NOT NULL, 
	ip VARCHAR NOT NULL, 
	network VARCHAR NOT NULL, 
	at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_signup_wait PRIMARY KEY (id), 
	CONSTRAINT fk_signup_wait_newsletter_id_newsletter FOREIGN KEY(newsletter_id) REFERENCES newsletter (id) ON DELETE CASCADE
);
CREATE INDEX ix_signup_wait_newsletter_id ON signup_wait (newsletter_id);
CREATE INDEX ix_signup_wait_key ON signup_wait (key);
CREATE INDEX ix_signup_wait_network ON signup_wait (network);
CREATE TABLE signup_refusal (
	day TIMESTAMP WITH TIME ZONE NOT NULL, 
	number INTEGER NOT NULL, 
	CONSTRAINT pk_signup_refusal PRIMARY KEY (day)
);
ALTER TABLE subscription ADD COLUMN chosen_from JSON DEFAULT '{}' NOT NULL;
ALTER TABLE variant ADD COLUMN chosen_from JSON DEFAULT '{}' NOT NULL;
ALTER TABLE subscription ADD COLUMN awaits_welcome BOOLEAN DEFAULT false NOT NULL;
UPDATE alembic_version SET version_num='0010' WHERE alembic_version.version_num = '0009';
CREATE TABLE former_name (
	newsletter_id INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	"old" VARCHAR NOT NULL, 
	"new" VARCHAR NOT NULL, 
	CONSTRAINT pk_former_name PRIMARY KEY (newsletter_id, kind, "old"), 
	CONSTRAINT fk_former_name_newsletter_id_newsletter FOREIGN KEY(newsletter_id) REFERENCES newsletter (id) ON DELETE CASCADE
);
UPDATE alembic_version SET version_num='0011' WHERE alembic_version.version_num = '0010';
ALTER TABLE subscriber ADD COLUMN fields JSON DEFAULT '{}' NOT NULL;
CREATE TABLE list_import (
	id SERIAL NOT NULL, 
	newsletter_id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	at TIMESTAMP WITH TIME ZONE NOT NULL, 
	vouched_by VARCHAR NOT NULL, 
	counts JSON NOT NULL, 
	consent_from INTEGER NOT NULL, 
	consent_to INTEGER NOT NULL, 
	undone_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_list_import PRIMARY KEY (id), 
	CONSTRAINT fk_list_import_newsletter_id_newsletter FOREIGN KEY(newsletter_id) REFERENCES newsletter (id) ON DELETE CASCADE
);
CREATE TABLE import_change (
	key VARCHAR NOT NULL, 
	import_id INTEGER NOT NULL, 
	what VARCHAR NOT NULL, 
	stamp INTEGER NOT NULL, 
	state VARCHAR NOT NULL, 
	paused_until TIMESTAMP WITH TIME ZONE, 
	read_until INTEGER, 
	reason VARCHAR NOT NULL, 
	before JSON, 
	CONSTRAINT pk_import_change PRIMARY KEY (key, import_id), 
	CONSTRAINT fk_import_change_import_id_list_import FOREIGN KEY(import_id) REFERENCES list_import (id) ON DELETE CASCADE
);
UPDATE alembic_version SET version_num='0012' WHERE alembic_version.version_num = '0011';
ALTER TABLE feed ADD COLUMN full_text BOOLEAN DEFAULT false NOT NULL;
ALTER TABLE feed ADD COLUMN weight FLOAT;
ALTER TABLE feed ADD COLUMN keep JSON DEFAULT '[]' NOT NULL;
ALTER TABLE feed ADD COLUMN drop JSON DEFAULT '[]' NOT NULL;
ALTER TABLE feed ADD COLUMN trouble JSON DEFAULT '[]' NOT NULL;
CREATE TABLE full_text (
	entry_id INTEGER NOT NULL, 
	tries INTEGER NOT NULL, 
	next_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	asked_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	why VARCHAR NOT NULL, 
	text BYTEA NOT NULL, 
	gist BYTEA, 
	link VARCHAR NOT NULL, 
	CONSTRAINT pk_full_text PRIMARY KEY (entry_id), 
	CONSTRAINT fk_full_text_entry_id_entry FOREIGN KEY(entry_id) REFERENCES entry (id) ON DELETE CASCADE
);
CREATE INDEX ix_full_text_link ON full_text (link);
CREATE TABLE robots (
	origin VARCHAR NOT NULL, 
	rules BYTEA NOT NULL, 
	read_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_robots PRIMARY KEY (origin)
);
UPDATE alembic_version SET version_num='0013' WHERE alembic_version.version_num = '0012';
CREATE TABLE api_key (
	id SERIAL NOT NULL, 
	name VARCHAR NOT NULL, 
	prefix VARCHAR NOT NULL, 
	hash VARCHAR NOT NULL, 
	newsletters JSON NOT NULL, 
	verbs JSON NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	used_at TIMESTAMP WITH TIME ZONE, 
	expires_at TIMESTAMP WITH TIME ZONE, 
	revoked_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_api_key PRIMARY KEY (id), 
	CONSTRAINT uq_api_key_name UNIQUE (name), 
	CONSTRAINT uq_api_key_prefix UNIQUE (prefix)
);
CREATE TABLE api_answer (
	id SERIAL NOT NULL, 
	key_id INTEGER NOT NULL, 
	mark VARCHAR NOT NULL, 
	fingerprint VARCHAR NOT NULL, 
	at TIMESTAMP WITH TIME ZONE NOT NULL, 
	attempt INTEGER NOT NULL, 
	status INTEGER NOT NULL, 
	headers JSON NOT NULL, 
	body TEXT NOT NULL, 
	person VARCHAR NOT NULL, 
	CONSTRAINT pk_api_answer PRIMARY KEY (id), 
	CONSTRAINT fk_api_answer_key_id_api_key FOREIGN KEY(key_id) REFERENCES api_key (id) ON DELETE CASCADE, 
	CONSTRAINT uq_api_answer_key_id_mark UNIQUE (key_id, mark)
);
CREATE INDEX ix_api_answer_at ON api_answer (at);
CREATE INDEX ix_api_answer_person ON api_answer (person);
CREATE TABLE webhook (
	id SERIAL NOT NULL, 
	url VARCHAR NOT NULL, 
	secret VARCHAR NOT NULL, 
	events JSON NOT NULL, 
	newsletters JSON NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	after_edition INTEGER NOT NULL, 
	ok_at TIMESTAMP WITH TIME ZONE, 
	failing_since TIMESTAMP WITH TIME ZONE, 
	error VARCHAR NOT NULL, 
	disabled_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_webhook PRIMARY KEY (id)
);
CREATE TABLE webhook_event (
	id SERIAL NOT NULL, 
	webhook_id INTEGER NOT NULL, 
	message VARCHAR NOT NULL, 
	event VARCHAR NOT NULL, 
	person VARCHAR NOT NULL, 
	body TEXT NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	due_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	attempts INTEGER NOT NULL, 
	settled_at TIMESTAMP WITH TIME ZONE, 
	status INTEGER NOT NULL, 
	error VARCHAR NOT NULL, 
	CONSTRAINT pk_webhook_event PRIMARY KEY (id), 
	CONSTRAINT fk_webhook_event_webhook_id_webhook FOREIGN KEY(webhook_id) REFERENCES webhook (id) ON DELETE CASCADE, 
	CONSTRAINT uq_webhook_event_webhook_id_message UNIQUE (webhook_id, message)
);
CREATE INDEX ix_webhook_event_person ON webhook_event (person);
CREATE INDEX ix_webhook_event_settled_at ON webhook_event (settled_at);
CREATE INDEX ix_webhook_event_due ON webhook_event (webhook_id, due_at, id) WHERE settled_at IS NULL;
UPDATE alembic_version SET version_num='0014' WHERE alembic_version.version_num = '0013';
CREATE TABLE mail_report (
	id SERIAL NOT NULL, 
	hash VARCHAR NOT NULL, 
	source VARCHAR NOT NULL, 
	read_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	said_at TIMESTAMP WITH TIME ZONE, 
	kind VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	feedback VARCHAR NOT NULL, 
	proof VARCHAR NOT NULL, 
	address VARCHAR NOT NULL, 
	domain VARCHAR NOT NULL, 
	act VARCHAR NOT NULL, 
	why VARCHAR NOT NULL, 
	sender VARCHAR NOT NULL, 
	subject VARCHAR NOT NULL, 
	text VARCHAR NOT NULL, 
	outbox_id INTEGER, 
	edition_id INTEGER, 
	subscriber_id INTEGER, 
	subscription_id INTEGER, 
	written_at TIMESTAMP WITH TIME ZONE, 
	before JSON, 
	undone_at TIMESTAMP WITH TIME ZONE, 
	done_at TIMESTAMP WITH TIME ZONE, 
	copies INTEGER NOT NULL, 
	raw BYTEA, 
	CONSTRAINT pk_mail_report PRIMARY KEY (id), 
	CONSTRAINT fk_mail_report_outbox_id_outbox FOREIGN KEY(outbox_id) REFERENCES outbox (id) ON DELETE SET NULL, 
	CONSTRAINT fk_mail_report_edition_id_edition FOREIGN KEY(edition_id) REFERENCES edition (id) ON DELETE SET NULL, 
	CONSTRAINT fk_mail_report_subscriber_id_subscriber FOREIGN KEY(subscriber_id) REFERENCES subscriber (id) ON DELETE SET NULL, 
	CONSTRAINT fk_mail_report_subscription_id_subscription FOREIGN KEY(subscription_id) REFERENCES subscription (id) ON DELETE SET NULL, 
	CONSTRAINT uq_mail_report_hash UNIQUE (hash)
);
CREATE INDEX ix_mail_report_read_at ON mail_report (read_at);
CREATE INDEX ix_mail_report_outbox_id ON mail_report (outbox_id);
CREATE INDEX ix_mail_report_edition_id ON mail_report (edition_id);
CREATE INDEX ix_mail_report_subscriber_id ON mail_report (subscriber_id);
CREATE INDEX ix_mail_report_address ON mail_report (address);
CREATE INDEX ix_mail_report_kept ON mail_report (read_at) WHERE raw IS NOT NULL;
CREATE INDEX ix_mail_report_unproven ON mail_report (id) WHERE proof = '';
CREATE TABLE mail_source (
	name VARCHAR NOT NULL, 
	mark VARCHAR NOT NULL, 
	read_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_mail_source PRIMARY KEY (name)
);
UPDATE alembic_version SET version_num='0015' WHERE alembic_version.version_num = '0014';
ALTER TABLE outbox ADD COLUMN newsletter_id INTEGER;
CREATE INDEX ix_outbox_notices ON outbox (newsletter_id, due_at, id) WHERE settled_at IS NULL AND edition_id IS NULL;
UPDATE alembic_version SET version_num='0016' WHERE alembic_version.version_num = '0015';
ALTER TABLE feed ADD COLUMN recipe JSON DEFAULT '{}' NOT NULL;
ALTER TABLE entry ADD COLUMN points INTEGER;
CREATE TABLE feed_list (
	newsletter_id INTEGER NOT NULL, 
	url VARCHAR NOT NULL, 
	format VARCHAR NOT NULL, 
	folders JSON NOT NULL, 
	CONSTRAINT pk_feed_list PRIMARY KEY (newsletter_id, url), 
	CONSTRAINT fk_feed_list_newsletter_id_newsletter FOREIGN KEY(newsletter_id) REFERENCES newsletter (id) ON DELETE CASCADE
);
UPDATE alembic_version SET version_num='0017' WHERE alembic_version.version_num = '0016';
CREATE TABLE websub (
	feed_id INTEGER NOT NULL, 
	hub VARCHAR NOT NULL, 
	topic VARCHAR NOT NULL, 
	token VARCHAR NOT NULL, 
	secret VARCHAR NOT NULL, 
	pending VARCHAR NOT NULL, 
	due_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	lease_until TIMESTAMP WITH TIME ZONE, 
	verified_at TIMESTAMP WITH TIME ZONE, 
	pinged_at TIMESTAMP WITH TIME ZONE, 
	missed INTEGER NOT NULL, 
	failures INTEGER NOT NULL, 
	error VARCHAR NOT NULL, 
	CONSTRAINT pk_websub PRIMARY KEY (feed_id), 
	CONSTRAINT fk_websub_feed_id_feed FOREIGN KEY(feed_id) REFERENCES feed (id) ON DELETE CASCADE, 
	CONSTRAINT uq_websub_token UNIQUE (token)
);
CREATE INDEX ix_websub_due_at ON websub (due_at);
UPDATE alembic_version SET version_num='0018' WHERE alembic_version.version_num = '0017';
ALTER TABLE subscription ADD COLUMN taste JSON DEFAULT '{}' NOT NULL;
ALTER TABLE subscription ADD COLUMN taste_key VARCHAR DEFAULT '' NOT NULL;
CREATE INDEX ix_subscription_taste ON subscription (newsletter_id, taste_key) WHERE taste_key <> '';
ALTER TABLE variant ADD COLUMN max_stories INTEGER DEFAULT '0' NOT NULL;
ALTER TABLE variant ADD COLUMN muted JSON DEFAULT '[]' NOT NULL;
UPDATE alembic_version SET version_num='0019' WHERE alembic_version.version_num = '0018';
CREATE TABLE mail_feed (
	feed_id INTEGER NOT NULL, 
	senders JSON NOT NULL, 
	CONSTRAINT pk_mail_feed PRIMARY KEY (feed_id), 
	CONSTRAINT fk_mail_feed_feed_id_feed FOREIGN KEY(feed_id) REFERENCES feed (id) ON DELETE CASCADE
);
ALTER TABLE outbox ADD COLUMN relay VARCHAR DEFAULT '' NOT NULL;
UPDATE alembic_version SET version_num='0020' WHERE alembic_version.version_num = '0019';
ALTER TABLE import_change ADD COLUMN consent_to INTEGER;
UPDATE alembic_version SET version_num='0021' WHERE alembic_version.version_num = '0020';
CREATE TABLE installation (
	id VARCHAR NOT NULL, 
	tick INTEGER NOT NULL, 
	witnesses JSON DEFAULT '{}' NOT NULL, 
	CONSTRAINT pk_installation PRIMARY KEY (id)
);
CREATE TABLE witnessed_entry (
	newsletter_id INTEGER NOT NULL, 
	mark VARCHAR NOT NULL, 
	seq INTEGER NOT NULL, 
	CONSTRAINT pk_witnessed_entry PRIMARY KEY (newsletter_id, mark)
);
UPDATE alembic_version SET version_num='0022' WHERE alembic_version.version_num = '0021';
CREATE TABLE run (
	id SERIAL NOT NULL, 
	name VARCHAR NOT NULL, 
	command VARCHAR NOT NULL, 
	process VARCHAR NOT NULL, 
	began_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	ended_at TIMESTAMP WITH TIME ZONE, 
	exit_code INTEGER, 
	trouble VARCHAR NOT NULL, 
	steps JSON NOT NULL, 
	newsletters JSON NOT NULL, 
	CONSTRAINT pk_run PRIMARY KEY (id), 
	CONSTRAINT uq_run_name UNIQUE (name)
);
CREATE INDEX ix_run_began_at ON run (began_at);
CREATE TABLE tally (
	name VARCHAR NOT NULL, 
	total BIGINT NOT NULL, 
	CONSTRAINT pk_tally PRIMARY KEY (name)
);
UPDATE alembic_version SET version_num='0023' WHERE alembic_version.version_num = '0022';
CREATE TABLE feed_seen (
	newsletter_id INTEGER NOT NULL, 
	feed_id INTEGER NOT NULL, 
	tool VARCHAR NOT NULL, 
	marks BYTEA NOT NULL, 
	until TIMESTAMP WITH TIME ZONE, 
	by_date BOOLEAN NOT NULL, 
	CONSTRAINT pk_feed_seen PRIMARY KEY (newsletter_id, feed_id), 
	CONSTRAINT fk_feed_seen_feed_id_feed FOREIGN KEY(feed_id) REFERENCES feed (id) ON DELETE CASCADE, 
	CONSTRAINT fk_feed_seen_newsletter_id_newsletter FOREIGN KEY(newsletter_id) REFERENCES newsletter (id) ON DELETE CASCADE
);
CREATE INDEX ix_feed_seen_feed_id ON feed_seen (feed_id);
UPDATE alembic_version SET version_num='0024' WHERE alembic_version.version_num = '0023';
CREATE TABLE alert (
	key VARCHAR NOT NULL, 
	since TIMESTAMP WITH TIME ZONE NOT NULL, 
	title VARCHAR NOT NULL, 
	words VARCHAR NOT NULL, 
	cure VARCHAR NOT NULL, 
	names JSON NOT NULL, 
	told_at TIMESTAMP WITH TIME ZONE, 
	last_at TIMESTAMP WITH TIME ZONE, 
	gone_at TIMESTAMP WITH TIME ZONE, 
	well_at TIMESTAMP WITH TIME ZONE, 
	turns INTEGER NOT NULL, 
	CONSTRAINT pk_alert PRIMARY KEY (key)
);
CREATE TABLE alert_telling (
	name VARCHAR NOT NULL, 
	channel VARCHAR NOT NULL, 
	word JSON NOT NULL, 
	made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	taken_until TIMESTAMP WITH TIME ZONE, 
	settled_at TIMESTAMP WITH TIME ZONE, 
	tries INTEGER NOT NULL, 
	error VARCHAR NOT NULL, 
	CONSTRAINT pk_alert_telling PRIMARY KEY (name, channel)
);
CREATE INDEX ix_outbox_held ON outbox (id) WHERE state = 'held';
UPDATE alembic_version SET version_num='0025' WHERE alembic_version.version_num = '0024';
-- rows
INSERT INTO alert ("key", "since", "title", "words", "cure", "names", "told_at", "last_at", "gone_at", "well_at", "turns") VALUES ('alert.key 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001', 'alert.title 1: ünï ''quoted'' \ 100% 🙂', 'alert.words 1: ünï ''quoted'' \ 100% 🙂', 'alert.cure 1: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', 1011);
INSERT INTO alert ("key", "since", "title", "words", "cure", "names", "told_at", "last_at", "gone_at", "well_at", "turns") VALUES ('alert.key 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002', 'alert.title 2: ünï ''quoted'' \ 100% 🙂', 'alert.words 2: ünï ''quoted'' \ 100% 🙂', 'alert.cure 2: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', 2011);
INSERT INTO alert_telling ("name", "channel", "word", "made_at", "taken_until", "settled_at", "tries", "error") VALUES ('alert_telling.name 1: ünï ''quoted'' \ 100% 🙂', 'alert_telling.channel 1: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', 1019, 'alert_telling.error 1: ünï ''quoted'' \ 100% 🙂');
INSERT INTO alert_telling ("name", "channel", "word", "made_at", "taken_until", "settled_at", "tries", "error") VALUES ('alert_telling.name 2: ünï ''quoted'' \ 100% 🙂', 'alert_telling.channel 2: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', 2019, 'alert_telling.error 2: ünï ''quoted'' \ 100% 🙂');
INSERT INTO api_key ("id", "name", "prefix", "hash", "newsletters", "verbs", "created_at", "used_at", "expires_at", "revoked_at") VALUES (1, 'api_key.name 1: ünï ''quoted'' \ 100% 🙂', 'api_key.prefix 1: ünï ''quoted'' \ 100% 🙂', 'api_key.hash 1: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001');
INSERT INTO api_key ("id", "name", "prefix", "hash", "newsletters", "verbs", "created_at", "used_at", "expires_at", "revoked_at") VALUES (2, 'api_key.name 2: ünï ''quoted'' \ 100% 🙂', 'api_key.prefix 2: ünï ''quoted'' \ 100% 🙂', 'api_key.hash 2: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002');
INSERT INTO erasure ("mark", "created_at") VALUES ('erasure.mark 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001');
INSERT INTO erasure ("mark", "created_at") VALUES ('erasure.mark 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002');
INSERT INTO feed ("id", "url", "host", "title", "site_url", "language", "state", "added_at", "headers", "former_urls", "moved_to", "etag", "last_modified", "body_hash", "next_at", "claimed_at", "ttl_seconds", "skip", "gap_seconds", "entry_at", "checked_at", "ok_at", "failing_since", "failures", "error", "told", "published_title", "answered_by", "proxy", "ca_file", "interval_minutes", "identity", "evidence", "window", "settle_minutes", "full_text", "weight", "keep", "drop", "trouble", "recipe") VALUES (1, 'feed.url 1: ünï ''quoted'' \ 100% 🙂', 'feed.host 1: ünï ''quoted'' \ 100% 🙂', 'feed.title 1: ünï ''quoted'' \ 100% 🙂', 'feed.site_url 1: ünï ''quoted'' \ 100% 🙂', 'feed.language 1: ünï ''quoted'' \ 100% 🙂', 'active', '2026-11-22 07:00:00.000001', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', 'feed.moved_to 1: ünï ''quoted'' \ 100% 🙂', 'feed.etag 1: ünï ''quoted'' \ 100% 🙂', 'feed.last_modified 1: ünï ''quoted'' \ 100% 🙂', 'feed.body_hash 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', 1016, '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', 1016, '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', 1013, 'feed.error 1: ünï ''quoted'' \ 100% 🙂', 'feed.told 1: ünï ''quoted'' \ 100% 🙂', 'feed.published_title 1: ünï ''quoted'' \ 100% 🙂', 'feed.answered_by 1: ünï ''quoted'' \ 100% 🙂', 'feed.proxy 1: ünï ''quoted'' \ 100% 🙂', 'feed.ca_file 1: ünï ''quoted'' \ 100% 🙂', 1021, 'feed.identity 1: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', 1.1, TRUE, 1.1, '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}');
INSERT INTO feed ("id", "url", "host", "title", "site_url", "language", "state", "added_at", "headers", "former_urls", "moved_to", "etag", "last_modified", "body_hash", "next_at", "claimed_at", "ttl_seconds", "skip", "gap_seconds", "entry_at", "checked_at", "ok_at", "failing_since", "failures", "error", "told", "published_title", "answered_by", "proxy", "ca_file", "interval_minutes", "identity", "evidence", "window", "settle_minutes", "full_text", "weight", "keep", "drop", "trouble", "recipe") VALUES (2, 'feed.url 2: ünï ''quoted'' \ 100% 🙂', 'feed.host 2: ünï ''quoted'' \ 100% 🙂', 'feed.title 2: ünï ''quoted'' \ 100% 🙂', 'feed.site_url 2: ünï ''quoted'' \ 100% 🙂', 'feed.language 2: ünï ''quoted'' \ 100% 🙂', 'retired', '2026-11-22 08:00:00.000002', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', 'feed.moved_to 2: ünï ''quoted'' \ 100% 🙂', 'feed.etag 2: ünï ''quoted'' \ 100% 🙂', 'feed.last_modified 2: ünï ''quoted'' \ 100% 🙂', 'feed.body_hash 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', 2016, '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', 2016, '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', 2013, 'feed.error 2: ünï ''quoted'' \ 100% 🙂', 'feed.told 2: ünï ''quoted'' \ 100% 🙂', 'feed.published_title 2: ünï ''quoted'' \ 100% 🙂', 'feed.answered_by 2: ünï ''quoted'' \ 100% 🙂', 'feed.proxy 2: ünï ''quoted'' \ 100% 🙂', 'feed.ca_file 2: ünï ''quoted'' \ 100% 🙂', 2021, 'feed.identity 2: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', 2.1, FALSE, 2.1, '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}');
INSERT INTO host ("name", "held_until", "pace_seconds", "asked_at", "said", "said_at") VALUES ('host.name 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001', 1.1, '2026-11-22 07:00:00.000001', 'host.said 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001');
INSERT INTO host ("name", "held_until", "pace_seconds", "asked_at", "said", "said_at") VALUES ('host.name 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002', 2.1, '2026-11-22 08:00:00.000002', 'host.said 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002');
DELETE FROM installation;
INSERT INTO installation ("id", "tick", "witnesses") VALUES ('0b9f5c1e-7d0a-4a53-9f0e-4f7f3c2a1d00', 7, '{}');
INSERT INTO mail_source ("name", "mark", "read_at") VALUES ('mail_source.name 1: ünï ''quoted'' \ 100% 🙂', 'mail_source.mark 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001');
INSERT INTO mail_source ("name", "mark", "read_at") VALUES ('mail_source.name 2: ünï ''quoted'' \ 100% 🙂', 'mail_source.mark 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002');
INSERT INTO newsletter ("id", "name", "seq", "edition_number", "slot_at", "note") VALUES (1, 'newsletter.name 1: ünï ''quoted'' \ 100% 🙂', 1014, 1025, '2026-11-22 07:00:00.000001', 'newsletter.note 1: ünï ''quoted'' \ 100% 🙂');
INSERT INTO newsletter ("id", "name", "seq", "edition_number", "slot_at", "note") VALUES (2, 'newsletter.name 2: ünï ''quoted'' \ 100% 🙂', 2014, 2025, '2026-11-22 08:00:00.000002', 'newsletter.note 2: ünï ''quoted'' \ 100% 🙂');
INSERT INTO relay_hour ("relay", "hour", "letters") VALUES ('relay_hour.relay 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001', 1018);
INSERT INTO relay_hour ("relay", "hour", "letters") VALUES ('relay_hour.relay 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002', 2018);
INSERT INTO robots ("origin", "rules", "read_at") VALUES ('robots.origin 1: ünï ''quoted'' \ 100% 🙂', X'726f626f74732e72756c657320313a20c3bc6ec3af202771756f74656427205c203130302520f09f9982000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff', '2026-11-22 07:00:00.000001');
INSERT INTO robots ("origin", "rules", "read_at") VALUES ('robots.origin 2: ünï ''quoted'' \ 100% 🙂', X'726f626f74732e72756c657320323a20c3bc6ec3af202771756f74656427205c203130302520f09f9982', '2026-11-22 08:00:00.000002');
INSERT INTO run ("id", "name", "command", "process", "began_at", "ended_at", "exit_code", "trouble", "steps", "newsletters") VALUES (1, 'run.name 1: ünï ''quoted'' \ 100% 🙂', 'run.command 1: ünï ''quoted'' \ 100% 🙂', 'run.process 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', 1013, 'run.trouble 1: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}');
INSERT INTO run ("id", "name", "command", "process", "began_at", "ended_at", "exit_code", "trouble", "steps", "newsletters") VALUES (2, 'run.name 2: ünï ''quoted'' \ 100% 🙂', 'run.command 2: ünï ''quoted'' \ 100% 🙂', 'run.process 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', 2013, 'run.trouble 2: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}');
INSERT INTO run_day ("day") VALUES ('2026-11-22 07:00:00.000001');
INSERT INTO run_day ("day") VALUES ('2026-11-22 08:00:00.000002');
INSERT INTO signup_mail ("id", "address", "network", "at") VALUES (1, 'signup_mail.address 1: ünï ''quoted'' \ 100% 🙂', 'signup_mail.network 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001');
INSERT INTO signup_mail ("id", "address", "network", "at") VALUES (2, 'signup_mail.address 2: ünï ''quoted'' \ 100% 🙂', 'signup_mail.network 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002');
INSERT INTO signup_refusal ("day", "number") VALUES ('2026-11-22 07:00:00.000001', 1021);
INSERT INTO signup_refusal ("day", "number") VALUES ('2026-11-22 08:00:00.000002', 2021);
INSERT INTO subscriber ("id", "email", "key", "name", "tags", "created_at", "fields") VALUES (1, 'subscriber.email 1: ünï ''quoted'' \ 100% 🙂', 'subscriber.key 1: ünï ''quoted'' \ 100% 🙂', 'subscriber.name 1: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', '2026-11-22 07:00:00.000001', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}');
INSERT INTO subscriber ("id", "email", "key", "name", "tags", "created_at", "fields") VALUES (2, 'subscriber.email 2: ünï ''quoted'' \ 100% 🙂', 'subscriber.key 2: ünï ''quoted'' \ 100% 🙂', 'subscriber.name 2: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', '2026-11-22 08:00:00.000002', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}');
INSERT INTO suppression ("key", "reason", "status", "created_at") VALUES ('suppression.key 1: ünï ''quoted'' \ 100% 🙂', 'suppression.reason 1: ünï ''quoted'' \ 100% 🙂', 'suppression.status 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001');
INSERT INTO suppression ("key", "reason", "status", "created_at") VALUES ('suppression.key 2: ünï ''quoted'' \ 100% 🙂', 'suppression.reason 2: ünï ''quoted'' \ 100% 🙂', 'suppression.status 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002');
INSERT INTO tally ("name", "total") VALUES ('tally.name 1: ünï ''quoted'' \ 100% 🙂', 1011);
INSERT INTO tally ("name", "total") VALUES ('tally.name 2: ünï ''quoted'' \ 100% 🙂', 2011);
INSERT INTO webhook ("id", "url", "secret", "events", "newsletters", "created_at", "after_edition", "ok_at", "failing_since", "error", "disabled_at") VALUES (1, 'webhook.url 1: ünï ''quoted'' \ 100% 🙂', 'webhook.secret 1: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', '2026-11-22 07:00:00.000001', 1021, '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', 'webhook.error 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001');
INSERT INTO webhook ("id", "url", "secret", "events", "newsletters", "created_at", "after_edition", "ok_at", "failing_since", "error", "disabled_at") VALUES (2, 'webhook.url 2: ünï ''quoted'' \ 100% 🙂', 'webhook.secret 2: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', '2026-11-22 08:00:00.000002', 2021, '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', 'webhook.error 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002');
INSERT INTO witnessed_entry ("newsletter_id", "mark", "seq") VALUES (1029, 'witnessed_entry.mark 1: ünï ''quoted'' \ 100% 🙂', 1019);
INSERT INTO witnessed_entry ("newsletter_id", "mark", "seq") VALUES (2029, 'witnessed_entry.mark 2: ünï ''quoted'' \ 100% 🙂', 2019);
INSERT INTO api_answer ("id", "key_id", "mark", "fingerprint", "at", "attempt", "status", "headers", "body", "person") VALUES (1, 1, 'api_answer.mark 1: ünï ''quoted'' \ 100% 🙂', 'api_answer.fingerprint 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001', 1018, 1017, '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', 'api_answer.body 1: ünï ''quoted'' \ 100% 🙂', 'api_answer.person 1: ünï ''quoted'' \ 100% 🙂');
INSERT INTO api_answer ("id", "key_id", "mark", "fingerprint", "at", "attempt", "status", "headers", "body", "person") VALUES (2, 2, 'api_answer.mark 2: ünï ''quoted'' \ 100% 🙂', 'api_answer.fingerprint 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002', 2018, 2017, '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', 'api_answer.body 2: ünï ''quoted'' \ 100% 🙂', 'api_answer.person 2: ünï ''quoted'' \ 100% 🙂');
INSERT INTO consent ("id", "subscriber_id", "newsletter_id", "at", "event", "how", "vouched_by", "ip", "detail") VALUES (1, 1, 1, '2026-11-22 07:00:00.000001', 'subscribed', 'consent.how 1: ünï ''quoted'' \ 100% 🙂', 'consent.vouched_by 1: ünï ''quoted'' \ 100% 🙂', 'consent.ip 1: ünï ''quoted'' \ 100% 🙂', 'consent.detail 1: ünï ''quoted'' \ 100% 🙂');
INSERT INTO consent ("id", "subscriber_id", "newsletter_id", "at", "event", "how", "vouched_by", "ip", "detail") VALUES (2, 2, 2, '2026-11-22 08:00:00.000002', 'unsubscribed', 'consent.how 2: ünï ''quoted'' \ 100% 🙂', 'consent.vouched_by 2: ünï ''quoted'' \ 100% 🙂', 'consent.ip 2: ünï ''quoted'' \ 100% 🙂', 'consent.detail 2: ünï ''quoted'' \ 100% 🙂');
INSERT INTO edition ("id", "newsletter_id", "number", "slot_at", "composed_at", "upto_seq", "note", "state", "state_reason", "open_at", "sender", "reply_to") VALUES (1, 1, 1014, '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', 1016, 'edition.note 1: ünï ''quoted'' \ 100% 🙂', 'open', 'edition.state_reason 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001', 'edition.sender 1: ünï ''quoted'' \ 100% 🙂', 'edition.reply_to 1: ünï ''quoted'' \ 100% 🙂');
INSERT INTO edition ("id", "newsletter_id", "number", "slot_at", "composed_at", "upto_seq", "note", "state", "state_reason", "open_at", "sender", "reply_to") VALUES (2, 2, 2014, '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', 2016, 'edition.note 2: ünï ''quoted'' \ 100% 🙂', 'paused', 'edition.state_reason 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002', 'edition.sender 2: ünï ''quoted'' \ 100% 🙂', 'edition.reply_to 2: ünï ''quoted'' \ 100% 🙂');
INSERT INTO entry ("id", "feed_id", "key", "twin", "url", "original_url", "title", "author", "summary", "content", "categories", "language", "image_url", "enclosures", "published_at", "updated_at", "seen_at", "content_hash", "gist", "fault", "guid", "text_hash", "changed_at", "withdrawn_at", "points") VALUES (1, 1, 'entry.key 1: ünï ''quoted'' \ 100% 🙂', 'entry.twin 1: ünï ''quoted'' \ 100% 🙂', 'entry.url 1: ünï ''quoted'' \ 100% 🙂', 'entry.original_url 1: ünï ''quoted'' \ 100% 🙂', 'entry.title 1: ünï ''quoted'' \ 100% 🙂', 'entry.author 1: ünï ''quoted'' \ 100% 🙂', 'entry.summary 1: ünï ''quoted'' \ 100% 🙂', 'entry.content 1: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', 'entry.language 1: ünï ''quoted'' \ 100% 🙂', 'entry.image_url 1: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', 'entry.content_hash 1: ünï ''quoted'' \ 100% 🙂', X'656e7472792e6769737420313a20c3bc6ec3af202771756f74656427205c203130302520f09f9982000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff', 'entry.fault 1: ünï ''quoted'' \ 100% 🙂', 'entry.guid 1: ünï ''quoted'' \ 100% 🙂', 'entry.text_hash 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', 1012);
INSERT INTO entry ("id", "feed_id", "key", "twin", "url", "original_url", "title", "author", "summary", "content", "categories", "language", "image_url", "enclosures", "published_at", "updated_at", "seen_at", "content_hash", "gist", "fault", "guid", "text_hash", "changed_at", "withdrawn_at", "points") VALUES (2, 2, 'entry.key 2: ünï ''quoted'' \ 100% 🙂', 'entry.twin 2: ünï ''quoted'' \ 100% 🙂', 'entry.url 2: ünï ''quoted'' \ 100% 🙂', 'entry.original_url 2: ünï ''quoted'' \ 100% 🙂', 'entry.title 2: ünï ''quoted'' \ 100% 🙂', 'entry.author 2: ünï ''quoted'' \ 100% 🙂', 'entry.summary 2: ünï ''quoted'' \ 100% 🙂', 'entry.content 2: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', 'entry.language 2: ünï ''quoted'' \ 100% 🙂', 'entry.image_url 2: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', 'entry.content_hash 2: ünï ''quoted'' \ 100% 🙂', X'656e7472792e6769737420323a20c3bc6ec3af202771756f74656427205c203130302520f09f9982', 'entry.fault 2: ünï ''quoted'' \ 100% 🙂', 'entry.guid 2: ünï ''quoted'' \ 100% 🙂', 'entry.text_hash 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', 2012);
INSERT INTO feed_list ("newsletter_id", "url", "format", "folders") VALUES (1, 'feed_list.url 1: ünï ''quoted'' \ 100% 🙂', 'feed_list.format 1: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}');
INSERT INTO feed_list ("newsletter_id", "url", "format", "folders") VALUES (2, 'feed_list.url 2: ünï ''quoted'' \ 100% 🙂', 'feed_list.format 2: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}');
INSERT INTO feed_seen ("newsletter_id", "feed_id", "tool", "marks", "until", "by_date") VALUES (1, 1, 'feed_seen.tool 1: ünï ''quoted'' \ 100% 🙂', X'666565645f7365656e2e6d61726b7320313a20c3bc6ec3af202771756f74656427205c203130302520f09f9982000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff', '2026-11-22 07:00:00.000001', TRUE);
INSERT INTO feed_seen ("newsletter_id", "feed_id", "tool", "marks", "until", "by_date") VALUES (2, 2, 'feed_seen.tool 2: ünï ''quoted'' \ 100% 🙂', X'666565645f7365656e2e6d61726b7320323a20c3bc6ec3af202771756f74656427205c203130302520f09f9982', '2026-11-22 08:00:00.000002', FALSE);
INSERT INTO former_name ("newsletter_id", "kind", "old", "new") VALUES (1, 'former_name.kind 1: ünï ''quoted'' \ 100% 🙂', 'former_name.old 1: ünï ''quoted'' \ 100% 🙂', 'former_name.new 1: ünï ''quoted'' \ 100% 🙂');
INSERT INTO former_name ("newsletter_id", "kind", "old", "new") VALUES (2, 'former_name.kind 2: ünï ''quoted'' \ 100% 🙂', 'former_name.old 2: ünï ''quoted'' \ 100% 🙂', 'former_name.new 2: ünï ''quoted'' \ 100% 🙂');
INSERT INTO list_import ("id", "newsletter_id", "name", "at", "vouched_by", "counts", "consent_from", "consent_to", "undone_at") VALUES (1, 1, 'list_import.name 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001', 'list_import.vouched_by 1: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', 1024, 1022, '2026-11-22 07:00:00.000001');
INSERT INTO list_import ("id", "newsletter_id", "name", "at", "vouched_by", "counts", "consent_from", "consent_to", "undone_at") VALUES (2, 2, 'list_import.name 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002', 'list_import.vouched_by 2: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', 2024, 2022, '2026-11-22 08:00:00.000002');
INSERT INTO mail_feed ("feed_id", "senders") VALUES (1, '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}');
INSERT INTO mail_feed ("feed_id", "senders") VALUES (2, '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}');
INSERT INTO newsletter_feed ("newsletter_id", "feed_id", "topic", "folder", "added_at", "places") VALUES (1, 1, 'newsletter_feed.topic 1: ünï ''quoted'' \ 100% 🙂', 'newsletter_feed.folder 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}');
INSERT INTO newsletter_feed ("newsletter_id", "feed_id", "topic", "folder", "added_at", "places") VALUES (2, 2, 'newsletter_feed.topic 2: ünï ''quoted'' \ 100% 🙂', 'newsletter_feed.folder 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}');
INSERT INTO signup_wait ("id", "newsletter_id", "email", "key", "name", "choices", "how", "ip", "network", "at") VALUES (1, 1, 'signup_wait.email 1: ünï ''quoted'' \ 100% 🙂', 'signup_wait.key 1: ünï ''quoted'' \ 100% 🙂', 'signup_wait.name 1: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', 'signup_wait.how 1: ünï ''quoted'' \ 100% 🙂', 'signup_wait.ip 1: ünï ''quoted'' \ 100% 🙂', 'signup_wait.network 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001');
INSERT INTO signup_wait ("id", "newsletter_id", "email", "key", "name", "choices", "how", "ip", "network", "at") VALUES (2, 2, 'signup_wait.email 2: ünï ''quoted'' \ 100% 🙂', 'signup_wait.key 2: ünï ''quoted'' \ 100% 🙂', 'signup_wait.name 2: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', 'signup_wait.how 2: ünï ''quoted'' \ 100% 🙂', 'signup_wait.ip 2: ünï ''quoted'' \ 100% 🙂', 'signup_wait.network 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002');
INSERT INTO subscription ("id", "subscriber_id", "newsletter_id", "state", "paused_until", "topics", "read_until", "consent", "created_at", "changed_at", "cadence", "hour", "zone", "language", "plain", "offered_at", "chosen_from", "awaits_welcome", "taste", "taste_key") VALUES (1, 1, 1, 'active', '2026-11-22 07:00:00.000001', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', 1023, 'subscription.consent 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', 'subscription.cadence 1: ünï ''quoted'' \ 100% 🙂', 1017, 'subscription.zone 1: ünï ''quoted'' \ 100% 🙂', 'subscription.language 1: ünï ''quoted'' \ 100% 🙂', TRUE, '2026-11-22 07:00:00.000001', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', TRUE, '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', 'subscription.taste_key 1: ünï ''quoted'' \ 100% 🙂');
INSERT INTO subscription ("id", "subscriber_id", "newsletter_id", "state", "paused_until", "topics", "read_until", "consent", "created_at", "changed_at", "cadence", "hour", "zone", "language", "plain", "offered_at", "chosen_from", "awaits_welcome", "taste", "taste_key") VALUES (2, 2, 2, 'unsubscribed', '2026-11-22 08:00:00.000002', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', 2023, 'subscription.consent 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', 'subscription.cadence 2: ünï ''quoted'' \ 100% 🙂', 2017, 'subscription.zone 2: ünï ''quoted'' \ 100% 🙂', 'subscription.language 2: ünï ''quoted'' \ 100% 🙂', FALSE, '2026-11-22 08:00:00.000002', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', FALSE, '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', 'subscription.taste_key 2: ünï ''quoted'' \ 100% 🙂');
INSERT INTO webhook_event ("id", "webhook_id", "message", "event", "person", "body", "created_at", "due_at", "attempts", "settled_at", "status", "error") VALUES (1, 1, 'webhook_event.message 1: ünï ''quoted'' \ 100% 🙂', 'webhook_event.event 1: ünï ''quoted'' \ 100% 🙂', 'webhook_event.person 1: ünï ''quoted'' \ 100% 🙂', 'webhook_event.body 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', 1022, '2026-11-22 07:00:00.000001', 1020, 'webhook_event.error 1: ünï ''quoted'' \ 100% 🙂');
INSERT INTO webhook_event ("id", "webhook_id", "message", "event", "person", "body", "created_at", "due_at", "attempts", "settled_at", "status", "error") VALUES (2, 2, 'webhook_event.message 2: ünï ''quoted'' \ 100% 🙂', 'webhook_event.event 2: ünï ''quoted'' \ 100% 🙂', 'webhook_event.person 2: ünï ''quoted'' \ 100% 🙂', 'webhook_event.body 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', 2022, '2026-11-22 08:00:00.000002', 2020, 'webhook_event.error 2: ünï ''quoted'' \ 100% 🙂');
INSERT INTO websub ("feed_id", "hub", "topic", "token", "secret", "pending", "due_at", "lease_until", "verified_at", "pinged_at", "missed", "failures", "error") VALUES (1, 'websub.hub 1: ünï ''quoted'' \ 100% 🙂', 'websub.topic 1: ünï ''quoted'' \ 100% 🙂', 'websub.token 1: ünï ''quoted'' \ 100% 🙂', 'websub.secret 1: ünï ''quoted'' \ 100% 🙂', 'websub.pending 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', 1013, 1015, 'websub.error 1: ünï ''quoted'' \ 100% 🙂');
INSERT INTO websub ("feed_id", "hub", "topic", "token", "secret", "pending", "due_at", "lease_until", "verified_at", "pinged_at", "missed", "failures", "error") VALUES (2, 'websub.hub 2: ünï ''quoted'' \ 100% 🙂', 'websub.topic 2: ünï ''quoted'' \ 100% 🙂', 'websub.token 2: ünï ''quoted'' \ 100% 🙂', 'websub.secret 2: ünï ''quoted'' \ 100% 🙂', 'websub.pending 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', 2013, 2015, 'websub.error 2: ünï ''quoted'' \ 100% 🙂');
INSERT INTO full_text ("entry_id", "tries", "next_at", "asked_at", "why", "text", "gist", "link") VALUES (1, 1015, '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', 'full_text.why 1: ünï ''quoted'' \ 100% 🙂', X'66756c6c5f746578742e7465787420313a20c3bc6ec3af202771756f74656427205c203130302520f09f9982000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff', X'66756c6c5f746578742e6769737420313a20c3bc6ec3af202771756f74656427205c203130302520f09f9982000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff', 'full_text.link 1: ünï ''quoted'' \ 100% 🙂');
INSERT INTO full_text ("entry_id", "tries", "next_at", "asked_at", "why", "text", "gist", "link") VALUES (2, 2015, '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', 'full_text.why 2: ünï ''quoted'' \ 100% 🙂', X'66756c6c5f746578742e7465787420323a20c3bc6ec3af202771756f74656427205c203130302520f09f9982', X'66756c6c5f746578742e6769737420323a20c3bc6ec3af202771756f74656427205c203130302520f09f9982', 'full_text.link 2: ünï ''quoted'' \ 100% 🙂');
INSERT INTO import_change ("key", "import_id", "what", "stamp", "state", "paused_until", "read_until", "reason", "before", "consent_to") VALUES ('import_change.key 1: ünï ''quoted'' \ 100% 🙂', 1, 'import_change.what 1: ünï ''quoted'' \ 100% 🙂', 1019, 'import_change.state 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001', 1024, 'import_change.reason 1: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', 1024);
INSERT INTO import_change ("key", "import_id", "what", "stamp", "state", "paused_until", "read_until", "reason", "before", "consent_to") VALUES ('import_change.key 2: ünï ''quoted'' \ 100% 🙂', 2, 'import_change.what 2: ünï ''quoted'' \ 100% 🙂', 2019, 'import_change.state 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002', 2024, 'import_change.reason 2: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', 2024);
INSERT INTO notice ("id", "key", "email", "address", "name", "sender", "subject", "text", "html", "subscription_id", "created_at") VALUES (1, 'notice.key 1: ünï ''quoted'' \ 100% 🙂', 'notice.email 1: ünï ''quoted'' \ 100% 🙂', 'notice.address 1: ünï ''quoted'' \ 100% 🙂', 'notice.name 1: ünï ''quoted'' \ 100% 🙂', 'notice.sender 1: ünï ''quoted'' \ 100% 🙂', 'notice.subject 1: ünï ''quoted'' \ 100% 🙂', 'notice.text 1: ünï ''quoted'' \ 100% 🙂', 'notice.html 1: ünï ''quoted'' \ 100% 🙂', 1, '2026-11-22 07:00:00.000001');
INSERT INTO notice ("id", "key", "email", "address", "name", "sender", "subject", "text", "html", "subscription_id", "created_at") VALUES (2, 'notice.key 2: ünï ''quoted'' \ 100% 🙂', 'notice.email 2: ünï ''quoted'' \ 100% 🙂', 'notice.address 2: ünï ''quoted'' \ 100% 🙂', 'notice.name 2: ünï ''quoted'' \ 100% 🙂', 'notice.sender 2: ünï ''quoted'' \ 100% 🙂', 'notice.subject 2: ünï ''quoted'' \ 100% 🙂', 'notice.text 2: ünï ''quoted'' \ 100% 🙂', 'notice.html 2: ünï ''quoted'' \ 100% 🙂', 2, '2026-11-22 08:00:00.000002');
INSERT INTO refusal_count ("edition_id", "since", "sent", "refused", "gone", "content", "quarantined") VALUES (1, '2026-11-22 07:00:00.000001', 1018, 1021, 1018, 1021, TRUE);
INSERT INTO refusal_count ("edition_id", "since", "sent", "refused", "gone", "content", "quarantined") VALUES (2, '2026-11-22 08:00:00.000002', 2018, 2021, 2018, 2021, FALSE);
INSERT INTO story ("id", "newsletter_id", "seq", "entry_id", "topic", "topic_step", "url", "title", "source", "author", "excerpt", "language", "image_url", "reading_minutes", "published_at", "admitted_at", "rank", "pinned", "dropped", "reasons") VALUES (1, 1, 1009, 1, 'story.topic 1: ünï ''quoted'' \ 100% 🙂', 'story.topic_step 1: ünï ''quoted'' \ 100% 🙂', 'story.url 1: ünï ''quoted'' \ 100% 🙂', 'story.title 1: ünï ''quoted'' \ 100% 🙂', 'story.source 1: ünï ''quoted'' \ 100% 🙂', 'story.author 1: ünï ''quoted'' \ 100% 🙂', 'story.excerpt 1: ünï ''quoted'' \ 100% 🙂', 'story.language 1: ünï ''quoted'' \ 100% 🙂', 'story.image_url 1: ünï ''quoted'' \ 100% 🙂', 1021, '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', 1.1, TRUE, TRUE, '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}');
INSERT INTO story ("id", "newsletter_id", "seq", "entry_id", "topic", "topic_step", "url", "title", "source", "author", "excerpt", "language", "image_url", "reading_minutes", "published_at", "admitted_at", "rank", "pinned", "dropped", "reasons") VALUES (2, 2, 2009, 2, 'story.topic 2: ünï ''quoted'' \ 100% 🙂', 'story.topic_step 2: ünï ''quoted'' \ 100% 🙂', 'story.url 2: ünï ''quoted'' \ 100% 🙂', 'story.title 2: ünï ''quoted'' \ 100% 🙂', 'story.source 2: ünï ''quoted'' \ 100% 🙂', 'story.author 2: ünï ''quoted'' \ 100% 🙂', 'story.excerpt 2: ünï ''quoted'' \ 100% 🙂', 'story.language 2: ünï ''quoted'' \ 100% 🙂', 'story.image_url 2: ünï ''quoted'' \ 100% 🙂', 2021, '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', 2.1, FALSE, FALSE, '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}');
INSERT INTO variant ("id", "edition_id", "key", "since_seq", "topics", "subject", "html", "text", "story_count", "more_count", "left_out", "letters", "language", "plain", "marks", "chosen_from", "max_stories", "muted") VALUES (1, 1, 'variant.key 1: ünï ''quoted'' \ 100% 🙂', 1017, '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', 'variant.subject 1: ünï ''quoted'' \ 100% 🙂', X'76617269616e742e68746d6c20313a20c3bc6ec3af202771756f74656427205c203130302520f09f9982000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff', X'76617269616e742e7465787420313a20c3bc6ec3af202771756f74656427205c203130302520f09f9982000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff', 1019, 1018, X'76617269616e742e6c6566745f6f757420313a20c3bc6ec3af202771756f74656427205c203130302520f09f9982000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff', 1015, 'variant.language 1: ünï ''quoted'' \ 100% 🙂', TRUE, 'variant.marks 1: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', 1019, '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}');
INSERT INTO variant ("id", "edition_id", "key", "since_seq", "topics", "subject", "html", "text", "story_count", "more_count", "left_out", "letters", "language", "plain", "marks", "chosen_from", "max_stories", "muted") VALUES (2, 2, 'variant.key 2: ünï ''quoted'' \ 100% 🙂', 2017, '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', 'variant.subject 2: ünï ''quoted'' \ 100% 🙂', X'76617269616e742e68746d6c20323a20c3bc6ec3af202771756f74656427205c203130302520f09f9982', X'76617269616e742e7465787420323a20c3bc6ec3af202771756f74656427205c203130302520f09f9982', 2019, 2018, X'76617269616e742e6c6566745f6f757420323a20c3bc6ec3af202771756f74656427205c203130302520f09f9982', 2015, 'variant.language 2: ünï ''quoted'' \ 100% 🙂', FALSE, 'variant.marks 2: ünï ''quoted'' \ 100% 🙂', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', 2019, '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}');
INSERT INTO admission ("newsletter_id", "entry_id", "decision", "reason", "link", "story_id", "decided_at") VALUES (1, 1, 'story', 'admission.reason 1: ünï ''quoted'' \ 100% 🙂', 'admission.link 1: ünï ''quoted'' \ 100% 🙂', 1, '2026-11-22 07:00:00.000001');
INSERT INTO admission ("newsletter_id", "entry_id", "decision", "reason", "link", "story_id", "decided_at") VALUES (2, 2, 'held', 'admission.reason 2: ünï ''quoted'' \ 100% 🙂', 'admission.link 2: ünï ''quoted'' \ 100% 🙂', 2, '2026-11-22 08:00:00.000002');
INSERT INTO outbox ("id", "edition_id", "variant_id", "notice_id", "subscriber_id", "subscription_id", "state", "due_at", "attempts", "created_at", "tried_at", "settled_at", "code", "reply", "in_doubt", "newsletter_id", "relay") VALUES (1, 1, 1, NULL, 1, 1, 'sent', '2026-11-22 07:00:00.000001', 1015, '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', 1011, 'outbox.reply 1: ünï ''quoted'' \ 100% 🙂', TRUE, 1020, 'outbox.relay 1: ünï ''quoted'' \ 100% 🙂');
INSERT INTO outbox ("id", "edition_id", "variant_id", "notice_id", "subscriber_id", "subscription_id", "state", "due_at", "attempts", "created_at", "tried_at", "settled_at", "code", "reply", "in_doubt", "newsletter_id", "relay") VALUES (2, NULL, NULL, 2, 2, 2, 'refused', '2026-11-22 08:00:00.000002', 2015, '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', 2011, 'outbox.reply 2: ünï ''quoted'' \ 100% 🙂', FALSE, 2020, 'outbox.relay 2: ünï ''quoted'' \ 100% 🙂');
INSERT INTO variant_story ("variant_id", "position", "story_id") VALUES (1, 1022, 1);
INSERT INTO variant_story ("variant_id", "position", "story_id") VALUES (2, 2022, 2);
INSERT INTO mail_report ("id", "hash", "source", "read_at", "said_at", "kind", "reason", "status", "feedback", "proof", "address", "domain", "act", "why", "sender", "subject", "text", "outbox_id", "edition_id", "subscriber_id", "subscription_id", "written_at", "before", "undone_at", "done_at", "copies", "raw") VALUES (1, 'mail_report.hash 1: ünï ''quoted'' \ 100% 🙂', 'mail_report.source 1: ünï ''quoted'' \ 100% 🙂', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', 'mail_report.kind 1: ünï ''quoted'' \ 100% 🙂', 'mail_report.reason 1: ünï ''quoted'' \ 100% 🙂', 'mail_report.status 1: ünï ''quoted'' \ 100% 🙂', 'mail_report.feedback 1: ünï ''quoted'' \ 100% 🙂', 'mail_report.proof 1: ünï ''quoted'' \ 100% 🙂', 'mail_report.address 1: ünï ''quoted'' \ 100% 🙂', 'mail_report.domain 1: ünï ''quoted'' \ 100% 🙂', 'mail_report.act 1: ünï ''quoted'' \ 100% 🙂', 'mail_report.why 1: ünï ''quoted'' \ 100% 🙂', 'mail_report.sender 1: ünï ''quoted'' \ 100% 🙂', 'mail_report.subject 1: ünï ''quoted'' \ 100% 🙂', 'mail_report.text 1: ünï ''quoted'' \ 100% 🙂', 1, 1, 1, 1, '2026-11-22 07:00:00.000001', '{"b":  [1.0, true, null], "a": "1 \u00fc\ud83d\ude42"}', '2026-11-22 07:00:00.000001', '2026-11-22 07:00:00.000001', 1018, X'6d61696c5f7265706f72742e72617720313a20c3bc6ec3af202771756f74656427205c203130302520f09f9982000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff');
INSERT INTO mail_report ("id", "hash", "source", "read_at", "said_at", "kind", "reason", "status", "feedback", "proof", "address", "domain", "act", "why", "sender", "subject", "text", "outbox_id", "edition_id", "subscriber_id", "subscription_id", "written_at", "before", "undone_at", "done_at", "copies", "raw") VALUES (2, 'mail_report.hash 2: ünï ''quoted'' \ 100% 🙂', 'mail_report.source 2: ünï ''quoted'' \ 100% 🙂', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', 'mail_report.kind 2: ünï ''quoted'' \ 100% 🙂', 'mail_report.reason 2: ünï ''quoted'' \ 100% 🙂', 'mail_report.status 2: ünï ''quoted'' \ 100% 🙂', 'mail_report.feedback 2: ünï ''quoted'' \ 100% 🙂', 'mail_report.proof 2: ünï ''quoted'' \ 100% 🙂', 'mail_report.address 2: ünï ''quoted'' \ 100% 🙂', 'mail_report.domain 2: ünï ''quoted'' \ 100% 🙂', 'mail_report.act 2: ünï ''quoted'' \ 100% 🙂', 'mail_report.why 2: ünï ''quoted'' \ 100% 🙂', 'mail_report.sender 2: ünï ''quoted'' \ 100% 🙂', 'mail_report.subject 2: ünï ''quoted'' \ 100% 🙂', 'mail_report.text 2: ünï ''quoted'' \ 100% 🙂', 2, 2, 2, 2, '2026-11-22 08:00:00.000002', '{"b":  [1.0, true, null], "a": "2 \u00fc\ud83d\ude42"}', '2026-11-22 08:00:00.000002', '2026-11-22 08:00:00.000002', 2018, X'6d61696c5f7265706f72742e72617720323a20c3bc6ec3af202771756f74656427205c203130302520f09f9982');
-- numbers
SELECT setval(pg_get_serial_sequence('api_key', 'id'), 2);
SELECT setval(pg_get_serial_sequence('feed', 'id'), 2);
SELECT setval(pg_get_serial_sequence('newsletter', 'id'), 2);
SELECT setval(pg_get_serial_sequence('run', 'id'), 2);
SELECT setval(pg_get_serial_sequence('signup_mail', 'id'), 2);
SELECT setval(pg_get_serial_sequence('subscriber', 'id'), 2);
SELECT setval(pg_get_serial_sequence('webhook', 'id'), 2);
SELECT setval(pg_get_serial_sequence('api_answer', 'id'), 2);
SELECT setval(pg_get_serial_sequence('consent', 'id'), 2);
SELECT setval(pg_get_serial_sequence('edition', 'id'), 2);
SELECT setval(pg_get_serial_sequence('entry', 'id'), 2);
SELECT setval(pg_get_serial_sequence('list_import', 'id'), 2);
SELECT setval(pg_get_serial_sequence('signup_wait', 'id'), 2);
SELECT setval(pg_get_serial_sequence('subscription', 'id'), 2);
SELECT setval(pg_get_serial_sequence('webhook_event', 'id'), 2);
SELECT setval(pg_get_serial_sequence('notice', 'id'), 2);
SELECT setval(pg_get_serial_sequence('story', 'id'), 2);
SELECT setval(pg_get_serial_sequence('variant', 'id'), 2);
SELECT setval(pg_get_serial_sequence('outbox', 'id'), 2);
SELECT setval(pg_get_serial_sequence('mail_report', 'id'), 2);
