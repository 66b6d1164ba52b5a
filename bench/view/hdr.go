package view

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/watchkv/watchkv/bench"
)

const (
	perMs     = 1e6 // percentile files are in ms, as the plotters of HdrHistogram expect
	halfTicks = 5   // lines a halved distance to 100%, as HdrHistogram's own tools
)

// HDR writes into dir, for each result, a log in HdrHistogram's format 1.3
// with a tagged line for each histogram, values in nanoseconds; and for each
// histogram a file of percentiles in milliseconds. Files that are there are
// replaced. It returns the names of the files.
func HDR(dir string, inputs []Input) (files []string, err error) {
	taken := map[string]bool{}
	for _, in := range inputs {
		base := strings.TrimSuffix(in.Result.FileName(), ".json")
		for n := 2; taken[base]; n++ {
			base = strings.TrimSuffix(in.Result.FileName(), ".json") + "+" + strconv.Itoa(n)
		}
		taken[base] = true
		parts, err := histogramsOf(in.Result)
		if err != nil {
			return files, fmt.Errorf("%s: %w", in.File, err)
		}
		if len(parts) == 0 {
			continue
		}
		write := func(name string, to func(io.Writer) error) {
			if err == nil {
				err = writeFile(filepath.Join(dir, name), to)
				files = append(files, name)
			}
		}
		write(base+".hlog", func(w io.Writer) error { return writeLog(w, in.Result, parts) })
		for _, p := range parts {
			name := base + "." + strings.ReplaceAll(word(strings.ReplaceAll(p.tag, "/", "-")), ":", ".") + ".hgrm"
			write(name, func(w io.Writer) error {
				_, err := p.hdr.PercentilesPrint(w, halfTicks, perMs)
				return err
			})
		}
		if err != nil {
			return files, err
		}
	}
	return files, nil
}

// part is one histogram of a result.
type part struct {
	tag string // scenario, repetition if there are several, histogram
	run *bench.Run
	hdr *hdrhistogram.Histogram
}

func histogramsOf(res *bench.Result) (parts []part, err error) {
	for i := range res.Runs {
		run := &res.Runs[i]
		for _, name := range slices.Sorted(maps.Keys(run.Histograms)) {
			positive, negative, err := run.Histograms[name].Decode()
			if err != nil {
				return nil, fmt.Errorf("%s of %s: %w", name, run.Scenario, err)
			}
			tag := run.Scenario
			if res.Plan.Count > 1 {
				tag += ":" + strconv.Itoa(run.Repetition)
			}
			tag = strings.ReplaceAll(oneLine(tag+":"+name), ",", "-")
			tag = strings.ReplaceAll(tag, " ", "-")
			if negative == nil {
				parts = append(parts, part{tag, run, positive})
				continue
			}
			parts = append(parts, part{tag + ".negative", run, negative}, part{tag + ".positive", run, positive})
		}
	}
	return parts, nil
}

func writeLog(w io.Writer, res *bench.Result, parts []part) error {
	log := hdrhistogram.NewHistogramLogWriter(w)
	start := res.Started.UnixMilli()
	log.SetBaseTime(start)
	err := errors.Join(
		log.OutputComment("[made by watchbench "+oneLine(res.MadeBy.Watchbench)+", "+oneLine(res.Target.Name())+"; values in ns]"),
		log.OutputLogFormatVersion(), log.OutputStartTime(start), log.OutputBaseTime(start), log.OutputLegend(),
	)
	for _, p := range parts {
		began := start + p.run.Began.Milliseconds()
		p.hdr.SetTag(p.tag)
		p.hdr.SetStartTimeMs(began)
		p.hdr.SetEndTimeMs(began + time.Duration(p.run.Metrics["measured_ns"]).Milliseconds())
		err = errors.Join(err, log.OutputIntervalHistogram(p.hdr))
	}
	return err
}

func writeFile(path string, to func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	b := bufio.NewWriter(f)
	return errors.Join(to(b), b.Flush(), f.Close())
}
