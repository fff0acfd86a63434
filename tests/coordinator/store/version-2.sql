BEGIN TRANSACTION;
CREATE TABLE candidate (
	item_id TEXT NOT NULL, 
	title TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	PRIMARY KEY (item_id, title)
);
CREATE TABLE current_version (
	name TEXT NOT NULL, 
	version TEXT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE deployment (
	name TEXT NOT NULL, 
	version TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	digest TEXT NOT NULL, 
	state TEXT NOT NULL, 
	deployed_by TEXT NOT NULL, 
	deployed_at TEXT NOT NULL, 
	PRIMARY KEY (name, version), 
	CONSTRAINT deployment_order UNIQUE (name, number)
);
CREATE TABLE deployment_log (
	seq INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	at TEXT NOT NULL, 
	"by" TEXT NOT NULL, 
	act TEXT NOT NULL, 
	version TEXT NOT NULL, 
	from_version TEXT, 
	to_version TEXT NOT NULL, 
	PRIMARY KEY (seq)
);
CREATE TABLE document (
	digest TEXT NOT NULL, 
	name TEXT NOT NULL, 
	version TEXT NOT NULL, 
	json TEXT NOT NULL, 
	text TEXT NOT NULL, 
	stored_at TEXT NOT NULL, 
	PRIMARY KEY (digest)
);
CREATE TABLE event (
	seq INTEGER NOT NULL, 
	source TEXT NOT NULL, 
	id TEXT NOT NULL, 
	type TEXT NOT NULL, 
	event TEXT NOT NULL, 
	received_at TEXT NOT NULL, 
	received_from TEXT NOT NULL, 
	delivered INTEGER NOT NULL, 
	PRIMARY KEY (seq), 
	CONSTRAINT event_once UNIQUE (source, id)
);
CREATE TABLE gathered (
	number INTEGER NOT NULL, 
	workflow TEXT NOT NULL, 
	source TEXT NOT NULL, 
	id TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	set_id TEXT NOT NULL, 
	state TEXT NOT NULL, 
	heard INTEGER NOT NULL, 
	PRIMARY KEY (number), 
	CONSTRAINT gathered_once UNIQUE (workflow, source, id)
);
CREATE TABLE item (
	id TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	state TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	workflow TEXT NOT NULL, 
	path TEXT NOT NULL, 
	attempt TEXT NOT NULL, 
	question TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	decide_by TEXT, 
	decision TEXT, 
	PRIMARY KEY (id)
);
CREATE TABLE journal (
	run_id TEXT NOT NULL, 
	path TEXT NOT NULL, 
	attempt TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	seq INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (run_id, path, attempt, kind), 
	CONSTRAINT journal_order UNIQUE (run_id, seq)
);
CREATE TABLE listener (
	run_id TEXT NOT NULL, 
	path TEXT NOT NULL, 
	attempt TEXT NOT NULL, 
	type TEXT NOT NULL, 
	filters TEXT NOT NULL, 
	expected TEXT NOT NULL, 
	"after" INTEGER NOT NULL, 
	PRIMARY KEY (run_id, path, attempt, type)
);
CREATE TABLE request (
	caller TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	at TEXT NOT NULL, 
	PRIMARY KEY (caller, "key")
);
CREATE TABLE run (
	id TEXT NOT NULL, 
	workflow TEXT NOT NULL, 
	version TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	context_id TEXT NOT NULL, 
	state TEXT NOT NULL, 
	segment INTEGER NOT NULL, 
	input TEXT NOT NULL, 
	output TEXT, 
	error TEXT, 
	waiting_for TEXT NOT NULL, 
	parent TEXT, 
	depth INTEGER NOT NULL, 
	requested_by TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE schedule (
	workflow TEXT NOT NULL, 
	version TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	json TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	types TEXT NOT NULL, 
	since TEXT NOT NULL, 
	due TEXT, 
	last_at TEXT, 
	last_run TEXT, 
	problem TEXT, 
	problem_at TEXT, 
	PRIMARY KEY (workflow)
);
CREATE INDEX document_about_workflows ON document (digest) WHERE json LIKE '%io.serverlessworkflow.%';
CREATE INDEX deployment_log_by_name ON deployment_log (name, seq);
CREATE INDEX run_by_age ON run (created_at, id);
CREATE INDEX run_by_context ON run (context_id);
CREATE INDEX run_by_state ON run (state, created_at);
CREATE INDEX item_by_run ON item (run_id);
CREATE INDEX item_by_state ON item (state, created_at);
CREATE INDEX candidate_by_title ON candidate (title, run_id);
CREATE INDEX event_by_type ON event (type, seq);
CREATE INDEX event_undelivered ON event (delivered, seq);
CREATE INDEX event_by_age ON event (received_at);
CREATE INDEX listener_by_type ON listener (type);
CREATE INDEX schedule_by_due ON schedule (due);
CREATE INDEX gathered_by_set ON gathered (workflow, set_id);
CREATE INDEX gathered_by_state ON gathered (state, workflow, number);
COMMIT;