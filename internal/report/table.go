package report

import (
	"iter"
	"slices"
)

// column is one column of a table.
type column struct {
	title string
	// min is the fewest cells it is still useful with; 0 means it is never cut.
	min int
	// rank orders columns by importance: when the terminal is too narrow the
	// highest rank goes first. Rank 0 always stays.
	rank int
	// right aligns numbers.
	right bool
}

// cell is one entry of a table.
type cell struct {
	style style
	text  string
}

const gutter = 2

// table writes rows under their titles, fitted to the terminal. It returns how
// many columns had to be left out. In a pipe everything is written whole.
func (p *printer) table(cols []column, groups []group) (left int) {
	titles := make([]cell, len(cols))
	for i, c := range cols {
		titles[i] = cell{dim, c.title}
	}
	count := 1
	for _, g := range groups {
		count += len(g.rows)
	}
	taken := make([]int32, count*len(cols)) // one for all, as there may be 10,000 rows
	next := func(row []cell) (m measured) {
		m, taken = measured{row, taken[:len(row)]}, taken[len(cols):]
		return m
	}
	widths := make([]int, len(cols))
	head := next(titles)
	head.measure(widths)
	lines := make([]measured, 0, count)
	for _, g := range groups {
		for _, row := range g.rows {
			m := next(row)
			m.measure(widths)
			lines = append(lines, m)
		}
	}
	shown := p.fitColumns(cols, widths)
	p.row(cols, widths, shown, head)
	for _, g := range groups {
		if g.title != "" && len(g.rows) > 0 && p.width > 0 {
			p.line(span{cyan, g.title})
		}
		for range g.rows {
			p.row(cols, widths, shown, lines[0])
			lines = lines[1:]
		}
	}
	return len(cols) - len(shown)
}

// longTable is table for rows that are too many to keep: it goes through them twice,
// first for the widths.
func (p *printer) longTable(cols []column, rows iter.Seq[[]cell]) (left int) {
	widths := make([]int, len(cols))
	head := measured{make([]cell, 0, len(cols)), make([]int32, len(cols))}
	for _, c := range cols {
		head.row = append(head.row, cell{dim, c.title})
	}
	head.measure(widths)
	m := measured{widths: make([]int32, len(cols))}
	for m.row = range rows {
		m.measure(widths)
	}
	shown := p.fitColumns(cols, widths)
	p.row(cols, widths, shown, head)
	unused := make([]int, len(cols))
	for m.row = range rows {
		m.measure(unused)
		p.row(cols, widths, shown, m)
	}
	return len(cols) - len(shown)
}

// measured is a row whose text is escaped, with the cells that each text takes.
type measured struct {
	row    []cell
	widths []int32
}

// measure escapes the row in place and widens widths to hold it.
func (m measured) measure(widths []int) {
	for i := range m.row {
		text := safe(m.row[i].text)
		width := cells(text)
		m.row[i].text, m.widths[i] = text, int32(width)
		widths[i] = max(widths[i], width)
	}
}

// group is a run of rows under a heading. Headings are for terminals: in a pipe
// they would be lines of another shape.
type group struct {
	title string
	rows  [][]cell
}

func (p *printer) row(cols []column, widths, shown []int, m measured) {
	for n, i := range shown {
		text, width := m.row[i].text, int(m.widths[i])
		if width > widths[i] {
			text = fit(text, widths[i])
			width = cells(text)
		}
		last := n == len(shown)-1
		if cols[i].right {
			p.spaces(widths[i] - width)
		}
		p.put(m.row[i].style, text)
		if !cols[i].right && !last {
			p.spaces(widths[i] - width)
		}
		if !last {
			p.spaces(gutter)
		}
	}
	p.w.WriteByte('\n')
}

// fitColumns chooses the columns that fit and narrows widths accordingly.
func (p *printer) fitColumns(cols []column, widths []int) []int {
	shown := make([]int, len(cols))
	for i := range cols {
		shown[i] = i
	}
	if p.width <= 0 || p.wide {
		return shown
	}
	least := func(i int) int {
		if cols[i].min == 0 {
			return widths[i]
		}
		return min(widths[i], max(cols[i].min, cells(cols[i].title)))
	}
	total := func(of func(int) int) int {
		n := gutter * (len(shown) - 1)
		for _, i := range shown {
			n += of(i)
		}
		return n
	}
	for total(least) > p.width {
		worst := -1
		for at, i := range shown {
			if cols[i].rank > 0 && (worst < 0 || cols[i].rank > cols[shown[worst]].rank) {
				worst = at
			}
		}
		if worst < 0 {
			break
		}
		shown = slices.Delete(shown, worst, worst+1)
	}
	// Take what is too much from the widest column that can give, one cell at
	// a time: the tables are small.
	for total(func(i int) int { return widths[i] }) > p.width {
		widest := -1
		for _, i := range shown {
			if widths[i] > least(i) && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return shown
}
