package curves

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Main is the command curves: it measures curves, or draws the data of
// earlier ones, and returns the exit code.
func Main(ctx context.Context, args []string, out, errOut io.Writer) int {
	flags := flag.NewFlagSet("curves", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.Usage = func() {
		fmt.Fprintln(errOut, "usage: curves [flags] [CURVE ...]   all curves unless named; writes CURVE.csv and CURVE.svg")
		for _, c := range All() {
			fmt.Fprintf(errOut, "  %-10s %s\n", c.Name, c.Title)
		}
		flags.PrintDefaults()
	}
	count := flags.Int("count", 3, "measurements of each point; the median is drawn")
	limit := flags.Float64("limit", 0, "leave out points above this; 0 is none")
	to := flags.String("out", filepath.Join("..", "docs", "performance"), "folder for data and pictures")
	dir := flags.String("dir", "", "folder for the stores while they are measured; the system's by default")
	only := flags.Bool("draw", false, "measure nothing, draw the data that are there")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	chosen, err := Named(flags.Args())
	if err != nil {
		fmt.Fprintln(errOut, err)
		return 2
	}
	o := Options{Count: *count, Limit: *limit, Dir: *dir, Seed: 1, Tell: func(line string) { fmt.Fprintln(out, line) }}
	for _, c := range chosen {
		if err := c.publish(ctx, *to, *only, o); err != nil {
			fmt.Fprintln(errOut, err)
			return 3
		}
	}
	return 0
}

// publish writes the files of a curve; the picture is of the data as written.
func (c Curve) publish(ctx context.Context, folder string, drawOnly bool, o Options) error {
	data := filepath.Join(folder, c.Name+".csv")
	if !drawOnly {
		points, err := c.Measure(ctx, o)
		if err != nil {
			return err
		}
		if err := writeFile(data, func(w io.Writer) error { return WriteData(w, points) }); err != nil {
			return err
		}
	}
	in, err := os.Open(data)
	if err != nil {
		return err
	}
	points, err := ReadData(in)
	if err = errors.Join(err, in.Close()); err != nil {
		return fmt.Errorf("%s: %w", data, err)
	}
	return writeFile(filepath.Join(folder, c.Name+".svg"), func(w io.Writer) error { return c.WritePicture(w, points) })
}

func writeFile(name string, write func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// MatrixMain is the command matrix: it measures every scenario on every engine
// in both durabilities and prints a table.
func MatrixMain(ctx context.Context, args []string, out, errOut io.Writer) int {
	flags := flag.NewFlagSet("matrix", flag.ContinueOnError)
	flags.SetOutput(errOut)
	count := flags.Int("count", 3, "measurements of each cell; the median is printed")
	names := flags.String("engines", strings.Join(engineNames, ","), "engines to measure")
	dir := flags.String("dir", "", "folder for the stores while they are measured; the system's by default")
	flags.Usage = func() {
		fmt.Fprintln(errOut, "usage: matrix [flags] [SCENARIO ...]   all scenarios unless named; prints a table")
		titles := map[string]bool{} // one load at a rate and one at full speed have the same
		for _, p := range everyPart() {
			if title := p.scenario.Title(); !titles[title] {
				titles[title] = true
				fmt.Fprintf(errOut, "  %s\n", title)
			}
		}
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return 2
	}
	for _, name := range flags.Args() {
		if len(matrixParts([]string{name})) == 0 {
			fmt.Fprintf(errOut, "scenario %q: unknown\n", name)
			return 2
		}
	}
	o := Options{Count: *count, Dir: *dir, Seed: 1, Tell: func(line string) { fmt.Fprintln(errOut, line) }}
	cells, err := MeasureMatrix(ctx, strings.Split(*names, ","), flags.Args(), o)
	if err == nil {
		err = WriteMatrix(out, cells)
	}
	if err != nil {
		fmt.Fprintln(errOut, err)
		return 3
	}
	return 0
}
