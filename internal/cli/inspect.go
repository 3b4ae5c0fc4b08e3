package cli

import (
	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook"
)

func inspect(*monban.Snapshot, *portbook.Book) []monban.Finding { return nil }
