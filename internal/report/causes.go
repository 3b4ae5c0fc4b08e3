package report

// causeWords says in one language why a door does not open.
type causeWords struct {
	title string
	why   string
	fixes []string // what to do, the smallest safe step first
}

// causeEntry is one cause of package conflict, in the words for people. N stands
// for the port number; other words in capitals stand for names to fill in.
type causeEntry struct {
	id     string
	en, ja causeWords
}

// causeText says what the cause id of package conflict means and what to do.
// The title is empty if the id is unknown.
func causeText(id string, lang Lang) (title, why string, fixes []string) {
	for _, family := range [...][]causeEntry{generalCauses[:], macCauses[:], winCauses[:], containerCauses[:], quietCauses[:]} {
		for i := range family {
			if e := &family[i]; e.id == id {
				w := &e.en
				if lang == JA {
					w = &e.ja
				}
				return w.title, w.why, w.fixes
			}
		}
	}
	return "", "", nil
}
