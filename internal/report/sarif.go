package report

import (
	"bufio"
	"encoding/json"
	"hash/fnv"
	"io"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// SARIF 2.1.0 (OASIS, section 3), as far as code hosts and editors show it: one
// run, a rule for each cause, warning and kind of finding, a result for each claim
// that cannot start, cannot be judged, or is worth a warning, and for each finding
// of an audit.

type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool        sarifTool         `json:"tool"`
	Invocations []sarifInvocation `json:"invocations"`
	Results     []sarifResult     `json:"results"`
	Language    string            `json:"language"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name           string      `json:"name"`
	Version        string      `json:"version,omitempty"`
	InformationURI string      `json:"informationUri"`
	Rules          []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID               string      `json:"id"`
	ShortDescription sarifText   `json:"shortDescription"`
	FullDescription  sarifText   `json:"fullDescription"`
	Help             sarifText   `json:"help"`
	Default          sarifConfig `json:"defaultConfiguration"`
	// Properties are of audits: code hosts read a severity there.
	Properties map[string]string `json:"properties,omitempty"`
}

type sarifConfig struct {
	Level string `json:"level"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifInvocation struct {
	ExecutionSuccessful bool                `json:"executionSuccessful"`
	Notifications       []sarifNotification `json:"toolExecutionNotifications"`
}

type sarifNotification struct {
	Level   string    `json:"level"`
	Message sarifText `json:"message"`
}

type sarifResult struct {
	RuleID       string            `json:"ruleId"`
	RuleIndex    int               `json:"ruleIndex"`
	Level        string            `json:"level"`
	Message      sarifText         `json:"message"`
	Locations    []sarifLocation   `json:"locations"`
	Related      []sarifLocation   `json:"relatedLocations,omitempty"`
	Fingerprints map[string]string `json:"partialFingerprints"`
}

type sarifLocation struct {
	ID       *int           `json:"id,omitempty"`
	Physical *sarifPhysical `json:"physicalLocation,omitempty"`
	Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	Message  *sarifText     `json:"message,omitempty"`
}

// sarifLogical is a place that is in no file: a door.
type sarifLogical struct {
	Name string `json:"fullyQualifiedName"`
	Kind string `json:"kind"`
}

type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   *sarifRegion  `json:"region,omitempty"`
}

type sarifArtifact struct {
	URI       string `json:"uri"`
	URIBaseID string `json:"uriBaseId,omitempty"`
}

type sarifRegion struct {
	StartLine int `json:"startLine"`
}

// writeSARIF writes a check as one SARIF run.
func (v *view) writeSARIF(w io.Writer, c Check) error {
	run := v.sarifRun(c.Release)
	for i := range c.Claims {
		done := &c.Claims[i]
		switch done.Judgement.Outcome {
		case monban.Fails:
			run.add(v.sarifCause(done.Judgement.Cause), "error", sarifClaim(c, v, done))
		case monban.OutcomeUnknown:
			run.add(v.sarifUnknown(done.Judgement.Reason), "warning", sarifClaim(c, v, done))
		}
	}
	for _, f := range v.Findings {
		level := "note"
		if f.Severity > monban.Info {
			level = "warning"
		}
		text := v.findingSentence(f)
		rule := v.sarifWarning(f.Kind)
		if len(f.Evidence) > 0 {
			run.add(rule, level, sarifResult{Message: sarifText{v.withFixes(text, f.Fix)},
				Locations:    sarifPlace(monban.Pos{File: f.Evidence[0].File, Line: f.Evidence[0].Line}),
				Fingerprints: fingerprint(string(f.Kind), f.Evidence[0].File, f.Bind)})
		}
	}
	for _, g := range DecidingGaps(c.Claims, v.Snapshot.Gaps) {
		run.Invocations[0].Notifications = append(run.Invocations[0].Notifications, sarifNotification{"warning", sarifText{v.gapSentence(g)}})
	}
	return run.write(w)
}

func (v *view) sarifRun(release string) sarifRun {
	return sarifRun{Tool: sarifTool{sarifDriver{Name: "monban", Version: release,
		InformationURI: "https://github.com/monban-dev/monban", Rules: []sarifRule{}}},
		Invocations: []sarifInvocation{{ExecutionSuccessful: true, Notifications: []sarifNotification{}}},
		Results:     []sarifResult{}, Language: v.style.Lang.pick("en-US", "ja-JP")}
}

func (r *sarifRun) write(w io.Writer) error {
	r.noLinks()
	bw := bufio.NewWriterSize(w, 64<<10)
	enc := json.NewEncoder(&jsonWriter{w: bw})
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	log := sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{*r}}
	if err := enc.Encode(log); err != nil {
		return err
	}
	return bw.Flush()
}

// noLinks takes the meaning from what a viewer would take for an embedded link,
// "[text](target)" (section 3.11.6): names of programs and files are somebody else's
// words, and monban embeds no links.
func (r *sarifRun) noLinks() {
	plain := func(t *sarifText) { t.Text = strings.ReplaceAll(t.Text, "](", "] (") }
	for i := range r.Tool.Driver.Rules {
		rule := &r.Tool.Driver.Rules[i]
		plain(&rule.ShortDescription)
		plain(&rule.FullDescription)
		plain(&rule.Help)
	}
	for i := range r.Results {
		plain(&r.Results[i].Message)
		for k := range r.Results[i].Related {
			if m := r.Results[i].Related[k].Message; m != nil {
				plain(m)
			}
		}
	}
	for i := range r.Invocations {
		for k := range r.Invocations[i].Notifications {
			plain(&r.Invocations[i].Notifications[k].Message)
		}
	}
}

// writeAuditSARIF writes an audit as one SARIF run: a rule for each kind of finding,
// a result for each finding at its door, and its file where it has one, a
// notification for each gap.
func (v *view) writeAuditSARIF(w io.Writer, a Audit) error {
	run := v.sarifRun(a.Release)
	for _, f := range v.Findings {
		level := "note"
		switch f.Severity {
		case monban.Critical, monban.High:
			level = "error"
		case monban.Medium:
			level = "warning"
		}
		sentence := v.findingSentence(f)
		message := v.withFixes(sentence, f.Fix)
		places := []sarifLocation{}
		for _, e := range f.Evidence {
			message += "\n" + e.Source + ": " + e.Text
			if strings.Contains(e.File, "/") || strings.Contains(e.File, `\`) || e.Line > 0 {
				places = append(places, sarifPlace(monban.Pos{File: e.File, Line: e.Line})...)
			}
		}
		door := addrText(f.Bind) + " " + f.Bind.Port.String()
		logical := []sarifLogical{{strings.TrimSpace(door), "resource"}}
		if len(places) == 0 {
			places = append(places, sarifLocation{})
		}
		places[0].Logical = logical
		rule := sarifRule{ID: string(f.Kind), ShortDescription: sarifText{string(f.Kind)}, FullDescription: sarifText{sentence}, Help: sarifText{v.withFixes(sentence, f.Fix)},
			Properties: map[string]string{"security-severity": severityScore(f.Severity)}}
		run.add(rule, level, sarifResult{Message: sarifText{message}, Locations: places[:1],
			Fingerprints: fingerprint(string(f.Kind), f.Service, f.Bind)})
	}
	for _, g := range v.Snapshot.Gaps {
		run.Invocations[0].Notifications = append(run.Invocations[0].Notifications, sarifNotification{"warning", sarifText{v.gapSentence(g)}})
	}
	return run.write(w)
}

// add records a result under its rule.
func (r *sarifRun) add(rule sarifRule, level string, result sarifResult) {
	rules := &r.Tool.Driver.Rules
	at := slices.IndexFunc(*rules, func(have sarifRule) bool { return have.ID == rule.ID })
	if at < 0 {
		at = len(*rules)
		rule.Default.Level = level
		*rules = append(*rules, rule)
	}
	result.RuleID, result.RuleIndex, result.Level = rule.ID, at, level
	r.Results = append(r.Results, result)
}

func (v *view) sarifCause(id string) sarifRule {
	title, why, fixes := causeText(id, v.style.Lang)
	if title == "" {
		id, title = "bind", v.style.Lang.pick("The door cannot be opened", "ドアを開けません")
		why = title
	}
	return sarifRule{ID: id, ShortDescription: sarifText{title}, FullDescription: sarifText{why}, Help: sarifText{strings.Join(append([]string{why}, fixes...), "\n")}}
}

// sarifWarning is the rule of a warning: what holds for all of its results.
func (v *view) sarifWarning(kind monban.Kind) sarifRule {
	say := v.style.Lang.pick
	title, why := string(kind), string(kind)
	switch kind {
	case monban.ClaimEphemeral:
		title = say("Outgoing connections borrow this port", "外向きの接続が借りる範囲のポートです")
		why = say("The kernel lends ports of a range of its own to outgoing connections. A program that wants one of them finds it taken some day, and does not start.",
			"カーネルは、ある範囲のポートを外向きの接続に貸し出します。その範囲のポートを使うプログラムは、番号を先に取られて起動できないことがあります。")
	case monban.ClaimReserved:
		title = say("An administrator has reserved this port", "管理者が予約したポートです")
		why = say("The port is on the administrator's list (net.ipv4.ip_local_reserved_ports). A program that asks for it gets it; see that it is meant for this one.",
			"管理者の予約一覧(net.ipv4.ip_local_reserved_ports)にあるポートです。開くことはできますが、このプログラム用の予約か確認してください。")
	case monban.ClaimBrowserBlocked:
		title = say("Browsers refuse this port", "ブラウザーが接続を拒否するポートです")
		why = say("Browsers do not connect to ports of some old protocols (fetch.spec.whatwg.org). The server starts, and its pages cannot be opened.",
			"ブラウザーは、一部の古いプロトコルのポートに接続しません(fetch.spec.whatwg.org)。サーバーは起動しますが、ページを開けません。")
	case monban.ClaimMoved:
		title = say("Another port will be opened", "指定と異なるポートが開かれます")
		why = say("The port that is asked for is taken, and the program takes the next one that is free. What expects the usual number finds somebody else there.",
			"指定されたポートは使用中のため、プログラムは次の空きポートを開きます。本来の番号に接続すると、別のプログラムにつながります。")
	case monban.ClaimPrivileged:
		title = say("Only root opens this port", "root だけが開けるポートです")
		why = say("On Linux ports below net.ipv4.ip_unprivileged_port_start are opened by root or with CAP_NET_BIND_SERVICE only. Start the program with sudo or as a service.",
			"Linux では、net.ipv4.ip_unprivileged_port_start 未満のポートを開けるのは root か CAP_NET_BIND_SERVICE を持つプログラムだけです。sudo を付けるかサービスとして起動してください。")
	}
	return sarifRule{ID: string(kind), ShortDescription: sarifText{title}, FullDescription: sarifText{why}, Help: sarifText{why}}
}

func (v *view) sarifUnknown(reason string) sarifRule {
	text := sarifText{v.unknownSentence(reason)}
	return sarifRule{ID: "unknown-" + reason, ShortDescription: text, FullDescription: text, Help: text}
}

// sarifClaim is the result for a claim; the claims in its way are related.
func sarifClaim(c Check, v *view, done *monban.Checked) sarifResult {
	r := sarifResult{Message: sarifText{v.withFixes(c.why(v, done), done.Judgement.Fix)}, Locations: sarifPlace(done.Claim.Pos),
		Fingerprints: fingerprint(done.Claim.Name, done.Claim.Pos.File, done.Judgement.Bind)}
	for _, i := range done.Rivals {
		rival := &c.Claims[i]
		for _, at := range sarifPlace(rival.Claim.Pos) {
			id := len(r.Related) + 1
			at.ID, at.Message = &id, &sarifText{claimPlace(&rival.Claim) + ": " + wanted(rival)}
			r.Related = append(r.Related, at)
		}
	}
	return r
}

func (v *view) withFixes(text string, fixes []monban.Fix) string {
	for _, f := range fixes {
		text += "\n→ " + v.fixSentence(f)
	}
	return text
}

// sarifPlace is a place in a file; none for a claim that stands in no file.
// A relative path starts where the check was made, which code hosts take for the
// root of the sources. Columns are left out: ours count bytes.
func sarifPlace(pos monban.Pos) []sarifLocation {
	if pos.File == "" {
		return []sarifLocation{}
	}
	name := strings.ReplaceAll(pos.File, `\`, "/")
	at := sarifArtifact{URI: (&url.URL{Path: name}).String(), URIBaseID: "%SRCROOT%"}
	switch {
	case path.IsAbs(name):
		at = sarifArtifact{URI: (&url.URL{Scheme: "file", Path: name}).String()}
	case len(name) > 1 && name[1] == ':':
		at = sarifArtifact{URI: (&url.URL{Scheme: "file", Path: "/" + name}).String()}
	}
	l := sarifLocation{Physical: &sarifPhysical{Artifact: at}}
	if pos.Line > 0 {
		l.Physical.Region = &sarifRegion{pos.Line}
	}
	return []sarifLocation{l}
}

// fingerprint tells results apart across versions of a file: by what is asked
// for and not by the line.
func fingerprint(name, file string, b monban.Bind) map[string]string {
	h := fnv.New64a()
	io.WriteString(h, strings.Join([]string{name, file, addrText(b), b.Port.String()}, "\x00"))
	return map[string]string{"monbanClaim/v1": strconv.FormatUint(h.Sum64(), 16)}
}
