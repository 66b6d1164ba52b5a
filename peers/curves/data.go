package curves

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
)

// header of a data file: one row a point.
var header = []string{"line", "x", "median", "min", "max", "count"}

// WriteData writes points as CSV.
func WriteData(w io.Writer, points []Point) error {
	out := csv.NewWriter(w)
	if err := out.Write(header); err != nil {
		return err
	}
	for _, p := range points {
		row := []string{p.Line, number(p.X), number(p.Median), number(p.Min), number(p.Max), strconv.Itoa(p.Count)}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// ReadData reads what WriteData wrote.
func ReadData(r io.Reader) ([]Point, error) {
	rows, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 || len(rows[0]) != len(header) {
		return nil, fmt.Errorf("not a data file of curves: the first line should be %v", header)
	}
	points := make([]Point, 0, len(rows)-1)
	for i, row := range rows[1:] {
		p := Point{Line: row[0]}
		for j, v := range []*float64{&p.X, &p.Median, &p.Min, &p.Max} {
			if *v, err = strconv.ParseFloat(row[j+1], 64); err != nil {
				return nil, fmt.Errorf("line %d, %s: %w", i+2, header[j+1], err)
			}
		}
		if p.Count, err = strconv.Atoi(row[5]); err != nil {
			return nil, fmt.Errorf("line %d, count: %w", i+2, err)
		}
		points = append(points, p)
	}
	return points, nil
}
