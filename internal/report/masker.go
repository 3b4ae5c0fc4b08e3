package report

import (
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// masker masks command lines once: the doors of one program share their owners.
// The doors of a snapshot are most often those that are shown.
type masker struct {
	seen  map[*monban.Owner][]monban.Owner
	lists map[*monban.Door][]monban.Door
}

func newMasker() masker {
	return masker{make(map[*monban.Owner][]monban.Owner), make(map[*monban.Door][]monban.Door)}
}

// hideSecrets returns snap with every command line masked.
func hideSecrets(snap *monban.Snapshot, m masker) *monban.Snapshot {
	out := *snap
	out.Doors = m.doors(snap.Doors)
	out.Gaps = maskGaps(snap.Gaps)
	out.Containers, out.Stopped = maskContainers(snap.Containers), maskContainers(snap.Stopped)
	return &out
}

func maskContainers(list []monban.Container) []monban.Container {
	out := slices.Clone(list)
	for i := range out {
		out[i].Image = maskReference(out[i].Image)
		out[i].Project = maskReference(out[i].Project)
	}
	return out
}

func maskGaps(gaps []monban.Gap) []monban.Gap {
	out := slices.Clone(gaps)
	for i := range out {
		out[i].Err = maskText(out[i].Err)
	}
	return out
}

func maskFixes(fixes []monban.Fix) []monban.Fix {
	out := slices.Clone(fixes)
	for i := range out {
		out[i].Command = maskArgs(out[i].Command)
		out[i].Args = slices.Clone(out[i].Args)
		for j, arg := range out[i].Args {
			out[i].Args[j] = maskReference(arg)
		}
	}
	return out
}

// maskReference masks the user-info of an image reference. Elsewhere in one a
// colon is no secret's: "registry/vault-token:1.0".
func maskReference(s string) string {
	s = maskURLs(s)
	host, path, found := strings.Cut(s, "/")
	if user, at, ok := strings.Cut(host, "@"); found && ok && strings.Contains(user, ":") {
		return maskUser(user) + "@" + at + "/" + path
	}
	return s
}

func (m masker) doors(doors []monban.Door) []monban.Door {
	if len(doors) == 0 {
		return doors
	}
	if out, ok := m.lists[&doors[0]]; ok && len(out) == len(doors) {
		return out
	}
	out := doors
	for i := range doors {
		owners := m.owners(doors[i].Owners)
		if len(owners) == 0 || &owners[0] == &doors[i].Owners[0] {
			continue
		}
		if &out[0] == &doors[0] { // most often nothing is secret, and 10,000 doors are not copied
			out = slices.Clone(doors)
		}
		out[i].Owners = owners
	}
	m.lists[&doors[0]] = out
	return out
}

func (m masker) owners(owners []monban.Owner) []monban.Owner {
	if len(owners) == 0 {
		return owners
	}
	if out, ok := m.seen[&owners[0]]; ok && len(out) == len(owners) {
		return out
	}
	out := owners
	for i := range owners {
		command := maskArgs(owners[i].Command)
		if slices.Equal(command, owners[i].Command) {
			continue
		}
		if &out[0] == &owners[0] {
			out = slices.Clone(owners)
		}
		out[i].Command = command
	}
	m.seen[&owners[0]] = out
	return out
}

func (m masker) judgement(j monban.Judgement) monban.Judgement {
	j.Against, j.Fix, j.Missing = m.doors(j.Against), maskFixes(j.Fix), maskGaps(j.Missing)
	return j
}

func (m masker) findings(findings []monban.Finding) []monban.Finding {
	out := slices.Clone(findings)
	for i := range out {
		out[i].Doors = m.doors(out[i].Doors)
		out[i].Fix = maskFixes(out[i].Fix)
		out[i].Evidence = slices.Clone(out[i].Evidence)
		for j := range out[i].Evidence {
			out[i].Evidence[j].Text = maskText(out[i].Evidence[j].Text)
		}
	}
	return out
}
