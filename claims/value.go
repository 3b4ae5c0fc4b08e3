package claims

// value is a node of a document: YAML, JSON or TOML. A nil *value is an absent
// one; all methods work on it.
type value struct {
	kind  kind
	at    word     // a scalar's text; of others, where it begins
	items []*value // of a list
	pairs []pair   // of a table, in the order of the file
	tag   string   // the application's own tag in YAML, such as "!reset"
}

// pair is one entry of a table.
type pair struct {
	key   word
	value *value
}

type kind uint8

const (
	null kind = iota // a value that is not nil has a tag
	scalar
	list
	table
)

// get follows keys into tables; nil when one is absent.
func (v *value) get(keys ...string) *value {
	for _, key := range keys {
		if v == nil {
			return nil
		}
		var next *value
		for _, p := range v.pairs { // the last one wins
			if p.key.text == key {
				next = p.value
			}
		}
		v = next
	}
	return v
}

// text returns a scalar's text; "" for everything else.
func (v *value) text() string {
	if v == nil || v.kind != scalar {
		return ""
	}
	return v.at.text
}

// is reports whether v is of a kind. An absent value is null.
func (v *value) is(k kind) bool {
	if v == nil {
		return k == null
	}
	return v.kind == k
}

// list returns the items of a list, or v itself as the only one when it is a
// scalar, as many formats allow.
func (v *value) list() []*value {
	switch {
	case v.is(list):
		return v.items
	case v.is(scalar):
		return []*value{v}
	}
	return nil
}

// table returns the entries of a table.
func (v *value) table() []pair {
	if v == nil {
		return nil
	}
	return v.pairs
}

// find follows keys that may be written apart or joined by dots, as in Spring's
// and Elasticsearch's YAML: "http.port" finds "http: {port: 1}" and "http.port: 1".
func (v *value) find(dotted string) *value {
	if v == nil {
		return nil
	}
	if got := v.get(dotted); got != nil {
		return got
	}
	for i := 0; i < len(dotted); i++ {
		if dotted[i] == '.' {
			if got := v.get(dotted[:i]).find(dotted[i+1:]); got != nil {
				return got
			}
		}
	}
	return nil
}
