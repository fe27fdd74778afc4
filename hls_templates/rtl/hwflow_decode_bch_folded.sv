// Decoder of a binary BCH code whose words are CYCLES enabled cycles apart or more: corrects and doubts what
// hwflow_decode_bch does, of which N, K, M, T and EXTENDED are, with about CYCLES times less logic.
//
//   CYCLES      from a word to the next one, at least: 2 to the bits of a word without the overall parity
//
// start_i, only with en_i, says that data_i is a word. Three stages, of a word each:
//   Syndromes   CYCLES times PART bits, those of the highest powers of x first, by Horner's rule; the word turns in a
//               ring meanwhile, and leaves it as it came.
//   Locator     The steps of the Berlekamp-Massey algorithm without inversion but for the first, which is free. Of a
//               step, LANES terms of the locator grow in a cycle, and what they add to the discrepancy of the
//               next step is summed up in that cycle too; CHUNKS cycles are a step. Where there are more steps
//               than CYCLES, some units do a part of them each, one after the other, a step a cycle. Instead of the
//               locator's order there is what the steps done exceed it by: it grows by one with a step, or
//               changes its sign.
//   Roots       CYCLES times PART positions, those of the lowest powers of x first, whose values are sums over the
//               locator's terms; these are multiplied by a constant each from one part of the positions to the next.
//
// Nothing waits: a stage goes on when it is done with a word, until the next one is put into it. No reset: of words
// before it nothing is left in a stage once one after it comes there.
//
// Timing: LATENCY = 2*CYCLES + 2 + (T-1)*CHUNKS cycles with en_i, CHUNKS = CYCLES/(T-1) rounded down, but 1 at least
// and T + 1 at most, from start_i to the one in which data_o and doubt_o are those of the word; no other shows them for
// sure. Longest path: two multiplications in the field and a sum of LANES elements.

`default_nettype none

module hwflow_decode_bch_folded #(
    parameter int N        = 64,
    parameter int K        = 45,
    parameter int M        = 6,
    parameter int T        = 3,
    parameter int EXTENDED = 1,
    parameter int CYCLES   = 8
) (
    input  wire          clk_i,
    input  wire          en_i,
    input  wire          start_i,
    input  wire  [N-1:0] data_i,
    output logic [K-1:0] data_o,
    output logic [K-1:0] doubt_o,
    output logic         wrong_o
);

    // What is not inlined is compiled once for all decoders of a simulated design.
    /* verilator no_inline_module */

    localparam int ORDER   = (1 << M) - 1;                              // of the field's multiplicative group
    localparam int CYCLIC  = N - EXTENDED;                              // bits without the parity
    localparam int CHECKS  = CYCLIC - K;
    localparam int TERMS   = T + 1;                                     // of a locator
    localparam int STEPS   = T - 1;
    localparam int DEGREE_W = $clog2(2 * T);                            // locators are of order 2*T - 1 at most
    localparam int EXCESS_W = DEGREE_W + 1;                             // signed, -T to T
    localparam int COUNT_W = $clog2(T + 2);                             // T roots at most, and a parity more
    localparam int PART    = (CYCLIC + CYCLES - 1) / CYCLES;            // bits, and positions, of a cycle
    localparam int ROOM    = CYCLES * PART;
    localparam int UNITS   = (STEPS + CYCLES - 1) / CYCLES;
    localparam int EACH    = (UNITS > 0) ? (STEPS + UNITS - 1) / UNITS : 1;  // steps of a unit but the last
    localparam int SLOW    = (STEPS > 0 && STEPS <= CYCLES) ? CYCLES / STEPS : 1;
    localparam int CHUNKS  = (SLOW < TERMS) ? SLOW : TERMS;             // cycles of a step
    localparam int LANES   = (TERMS + CHUNKS - 1) / CHUNKS;             // terms of a cycle
    localparam int SPAN    = CHUNKS * LANES;
    localparam int PAD     = SPAN - TERMS;                              // places before the locator's terms
    localparam int CHUNK_W = (CHUNKS > 1) ? $clog2(CHUNKS) : 1;
    localparam int BACK    = (CHUNKS - 1) * LANES + 2;                  // places by which syndromes turn after a step

    if (M < 3 || M > 9) begin : gen_error_field
        initial $fatal(1, "hwflow_decode_bch_folded: M (%0d) must be 3 to 9", M);
    end
    if (EXTENDED < 0 || EXTENDED > 1) begin : gen_error_parity
        initial $fatal(1, "hwflow_decode_bch_folded: EXTENDED (%0d) must be 0 or 1", EXTENDED);
    end
    if (K < 1 || T < 1 || N - EXTENDED > (1 << M) - 1 || N - EXTENDED - K < 1 || N - EXTENDED - K > M * T)
    begin : gen_error_code
        initial $fatal(1, "hwflow_decode_bch_folded: no code of N (%0d) and K (%0d) corrects T (%0d) errors", N, K, T);
    end
    if (CYCLES < 2 || CYCLES > CYCLIC) begin : gen_error_cycles
        initial $fatal(1, "hwflow_decode_bch_folded: CYCLES (%0d) must be 2 to %0d", CYCLES, CYCLIC);
    end

    // --- The field, as in hwflow_decode_bch.

    localparam logic [M-1:0] POLY = M'((M == 3) ? 'h3 : (M == 4) ? 'h3 : (M == 5) ? 'h5 : (M == 6) ? 'h3 :
                                       (M == 7) ? 'h9 : (M == 8) ? 'h1d : 'h11);  // without x^M

    function automatic logic [M*ORDER-1:0] all_powers();
        logic [M-1:0] element;
        all_powers = '0;
        element = M'(1);
        for (int i = 0; i < ORDER; i++) begin
            all_powers[M*i+:M] = element;
            element = {element[M-2:0], 1'b0} ^ (element[M-1] ? POLY : M'(0));
        end
    endfunction

    localparam logic [M*ORDER-1:0] POWERS = all_powers();

    function automatic logic [M*M-1:0] columns(input int first, input int stride);
        columns = '0;
        for (int b = 0; b < M; b++) columns[M*b+:M] = POWERS[M*((first+b*stride)%ORDER)+:M];
    endfunction

    // Bit b of what PART bits, the first that of x^0, add to syndrome j, at bits [PART*b +: PART]
    function automatic logic [M*PART-1:0] syndrome_rows(input int j);
        logic [M-1:0] element;
        syndrome_rows = '0;
        for (int i = 0; i < PART; i++) begin
            element = POWERS[M*((j*i)%ORDER)+:M];
            for (int b = 0; b < M; b++) syndrome_rows[PART*b+i] = element[b];
        end
    endfunction

    function automatic logic [M-1:0] linear(input logic [M*M-1:0] matrix, input logic [M-1:0] a);
        linear = '0;
        for (int b = 0; b < M; b++) linear = linear ^ (matrix[M*b+:M] & {M{a[b]}});
    endfunction

    function automatic logic [M-1:0] product(input logic [M-1:0] a, input logic [M-1:0] b);
        /* verilator no_inline_task */
        logic [M-1:0] shifted;
        product = '0;
        shifted = a;
        for (int i = 0; i < M; i++) begin
            product = product ^ (shifted & {M{b[i]}});
            shifted = {shifted[M-2:0], 1'b0} ^ (POLY & {M{shifted[M-1]}});
        end
    endfunction

    // --- The odd syndromes 2*i+1 at bits [M*i +: M], and the parity.

    logic [ROOM-1:0] ring_reg;  // the bit of x^i at bit i
    logic parity_reg;
    wire [ROOM-1:0] ring_next = {ring_reg[ROOM-PART-1:0], ring_reg[ROOM-1-:PART]};
    wire [PART-1:0] part = ring_reg[ROOM-1-:PART];
    wire parity_next = parity_reg ^ (^part);
    wire [M*T-1:0] syndromes;

    always_ff @(posedge clk_i) begin
        if (en_i) begin
            ring_reg   <= start_i ? ROOM'({data_i[K-1:0], data_i[K+:CHECKS]}) : ring_next;
            parity_reg <= start_i ? (EXTENDED != 0) && data_i[N-1] : parity_next;
        end
    end

    for (genvar i = 0; i < T; i++) begin : gen_syndrome
        localparam logic [M*PART-1:0] ROWS = syndrome_rows(2 * i + 1);
        localparam logic [M*M-1:0] UP = columns(((2 * i + 1) * PART) % ORDER, 1);
        wire [M-1:0] added;
        logic [M-1:0] sum_reg;
        for (genvar b = 0; b < M; b++) begin : gen_bit
            assign added[b] = ^(part & ROWS[PART*b+:PART]);
        end
        assign syndromes[M*i+:M] = linear(UP, sum_reg) ^ added;
        always_ff @(posedge clk_i) if (en_i) sum_reg <= start_i ? '0 : syndromes[M*i+:M];
    end

    // Of this cycle: the syndromes are those of a word
    wire summed;

    hwflow_delay #(
        .WIDTH  (1),
        .STAGES (CYCLES)
    ) summed_line (
        .clk_i  (clk_i),
        .en_i   (en_i),
        .data_i (start_i),
        .data_o (summed)
    );

    // --- The locator, its terms from place PAD on. Step 0 finds 1 + S1 x.

    wire [M*TERMS-1:0] locator;
    wire [DEGREE_W-1:0] degree;
    wire located;  // of this cycle: they are those of a word
    wire any = syndromes[M-1:0] != '0;

    if (UNITS == 0) begin : gen_one_error
        assign locator = {syndromes[M-1:0], M'(1)};
        assign degree  = DEGREE_W'(any);
        assign located = summed;
    end

    for (genvar u = 0; u < UNITS; u++) begin : gen_unit
        localparam int FIRST = 1 + u * EACH;
        localparam int COUNT = (u == UNITS - 1) ? STEPS - u * EACH : EACH;
        localparam int MOST  = 2 * (FIRST + COUNT) - 1;     // the highest term that the locator may have
        // Syndromes: place p has S(2*s+3+PAD-p) at the beginning of step s, up to the first terms, for the discrepancy
        // of the next step; those of higher numbers stand at the end, the highest in place SPAN.
        localparam int AHEAD = 2 * T - 1 - (2 * FIRST + 3 + PAD);
        localparam int LATER = (AHEAD > 0) ? AHEAD : 0;
        localparam int RING  = SPAN + LATER;
        localparam int GONE  = (AHEAD > 0) ? 2 * EACH : (AHEAD + 2 * EACH > 0) ? AHEAD + 2 * EACH : 0;  // of the unit before

        wire load;
        wire [M*SPAN-1:0] locator_in, correction_in, locator_next, correction_next;
        wire [M*RING-1:0] syndromes_in, syndromes_next;
        wire [M-1:0] discrepancy_in, discrepancy_next, scale_in, scale_next;
        wire signed [EXCESS_W-1:0] excess_in, excess_next;
        logic [M*SPAN-1:0] locator_reg, correction_reg;
        logic [M*RING-1:0] syndromes_reg;
        logic [M-1:0] discrepancy_reg, scale_reg;
        logic signed [EXCESS_W-1:0] excess_reg;

        if (u == 0) begin : gen_first
            localparam logic [M*M-1:0] SQUARE = columns(0, 2);
            for (genvar j = 0; j < 2 * T; j++) begin : gen_syndrome_of
                wire [M-1:0] value;  // S(j)
                wire unused_value = &{1'b0, value};  // of some of them
                if (j == 0) begin : gen_none
                    assign value = '0;
                end else if (j % 2 != 0) begin : gen_odd
                    assign value = syndromes[M*(j/2)+:M];
                end else begin : gen_even
                    assign value = linear(SQUARE, gen_syndrome_of[j/2].value);
                end
            end
            for (genvar p = 0; p < RING; p++) begin : gen_place
                localparam int J = (p < SPAN) ? 5 + PAD - p : 5 + PAD + RING - p;
                assign syndromes_in[M*p+:M] = gen_syndrome_of[(J>0&&J<2*T)?J:0].value;
            end
            assign load           = summed;
            assign locator_in     = (M * SPAN)'({syndromes[M-1:0], M'(1)}) << (M * PAD);
            assign correction_in  = (M * SPAN)'({M'(!any), M'(any), {2 * M{1'b0}}}) << (M * PAD);  // x^3 or x^2
            assign discrepancy_in = syndromes[M+:M] ^ product(syndromes[M-1:0], gen_syndrome_of[2].value);
            assign scale_in       = any ? syndromes[M-1:0] : M'(1);
            assign excess_in      = EXCESS_W'(!any);

        end else begin : gen_next
            for (genvar p = 0; p < RING; p++) begin : gen_place
                localparam int FROM = (p < SPAN) ? p : p + GONE;
                assign syndromes_in[M*p+:M] = gen_unit[u-1].syndromes_next[M*FROM+:M];
            end
            hwflow_delay #(
                .WIDTH  (1),
                .STAGES (EACH * CHUNKS)
            ) load_line (
                .clk_i  (clk_i),
                .en_i   (en_i),
                .data_i (gen_unit[u-1].load),
                .data_o (load)
            );
            assign locator_in     = gen_unit[u-1].locator_next;
            assign correction_in  = gen_unit[u-1].correction_next;
            assign discrepancy_in = gen_unit[u-1].discrepancy_next;
            assign scale_in       = gen_unit[u-1].scale_next;
            assign excess_in      = gen_unit[u-1].excess_next;
        end

        // Terms of this cycle, and what they add to the next discrepancy
        wire longer = discrepancy_reg != '0 && !excess_reg[EXCESS_W-1];
        wire [M*LANES-1:0] grown;

        for (genvar g = 0; g < LANES; g++) begin : gen_lane
            wire [M-1:0] sum;
            if (CHUNKS > 1 || g - PAD <= MOST) begin : gen_used
                assign grown[M*g+:M] = product(scale_reg, locator_reg[M*g+:M]) ^
                                       product(discrepancy_reg, correction_reg[M*g+:M]);
            end else begin : gen_unused
                assign grown[M*g+:M] = '0;
            end
            if (g == 0) begin : gen_one
                assign sum = product(grown[M-1:0], syndromes_reg[M-1:0]);
            end else begin : gen_more
                assign sum = gen_lane[g-1].sum ^ product(grown[M*g+:M], syndromes_reg[M*g+:M]);
            end
        end

        wire [M*LANES-1:0] kept = longer ? locator_reg[M*LANES-1:0] : correction_reg[M*LANES-1:0];
        wire [M*(LANES+2)-1:0] moved;
        wire last;  // chunk of a step

        if (CHUNKS == 1) begin : gen_step_a_cycle
            assign last             = 1'b1;
            assign moved            = {kept, {2 * M{1'b0}}};
            assign locator_next     = grown;
            assign correction_next  = moved[M*LANES-1:0];
            assign discrepancy_next = gen_lane[LANES-1].sum;

            wire unused_moved = &{1'b0, moved};
        end else begin : gen_step_some_cycles
            logic [CHUNK_W-1:0] chunk_reg;
            logic [2*M-1:0] carry_reg;
            logic [M-1:0] sum_reg;
            wire [M-1:0] sum = sum_reg ^ gen_lane[LANES-1].sum;

            assign last             = chunk_reg == CHUNK_W'(CHUNKS - 1);
            assign moved            = {kept, carry_reg};
            assign locator_next     = {grown, locator_reg[M*SPAN-1:M*LANES]};
            assign correction_next  = {moved[M*LANES-1:0], correction_reg[M*SPAN-1:M*LANES]};
            assign discrepancy_next = last ? sum : discrepancy_reg;

            always_ff @(posedge clk_i) begin
                if (en_i) begin
                    chunk_reg <= (load || last) ? '0 : chunk_reg + 1'b1;
                    carry_reg <= (load || last) ? '0 : moved[M*(LANES+2)-1-:2*M];
                    sum_reg   <= (load || last) ? '0 : sum;
                end
            end
        end

        for (genvar p = 0; p < RING; p++) begin : gen_turn
            localparam int DOWN = (p + LANES) % RING;
            localparam int UP   = (p + RING - BACK % RING) % RING;
            assign syndromes_next[M*p+:M] = last ? syndromes_reg[M*UP+:M] : syndromes_reg[M*DOWN+:M];
        end

        assign scale_next  = (last && longer) ? discrepancy_reg : scale_reg;
        assign excess_next = !last ? excess_reg : longer ? -excess_reg : excess_reg + 1'b1;

        if (COUNT * CHUNKS > 1) begin : gen_again
            always_ff @(posedge clk_i) begin
                if (en_i) begin
                    locator_reg     <= load ? locator_in : locator_next;
                    correction_reg  <= load ? correction_in : correction_next;
                    syndromes_reg   <= load ? syndromes_in : syndromes_next;
                    discrepancy_reg <= load ? discrepancy_in : discrepancy_next;
                    scale_reg       <= load ? scale_in : scale_next;
                    excess_reg      <= load ? excess_in : excess_next;
                end
            end
        end else begin : gen_once
            always_ff @(posedge clk_i) begin
                if (en_i) begin
                    locator_reg     <= locator_in;
                    correction_reg  <= correction_in;
                    syndromes_reg   <= syndromes_in;
                    discrepancy_reg <= discrepancy_in;
                    scale_reg       <= scale_in;
                    excess_reg      <= excess_in;
                end
            end
        end

        if (u == UNITS - 1) begin : gen_last
            wire [EXCESS_W-1:0] order = EXCESS_W'(T) - excess_next;

            assign locator = locator_next[M*SPAN-1:M*PAD];
            assign degree  = order[DEGREE_W-1:0];

            hwflow_delay #(
                .WIDTH  (1),
                .STAGES (COUNT * CHUNKS)
            ) located_line (
                .clk_i  (clk_i),
                .en_i   (en_i),
                .data_i (load),
                .data_o (located)
            );

            wire unused_unit = &{1'b0, order, locator_next, correction_next, syndromes_next, discrepancy_next,
                                 scale_next};
        end
    end

    // --- Roots of the locator, and how many there are. Positions after those of the word do not count.

    localparam int WHOLE  = CYCLIC / PART;          // parts that lie in the word
    localparam int REST   = CYCLIC % PART;          // positions of the one after them that do
    localparam int HITS   = ROOM - CHECKS;
    localparam int PART_W = $clog2(CYCLES + 1);

    wire [PART-1:0] root, counts;
    logic [PART-1:0] root_reg;
    logic [HITS-1:0] hits_reg;
    logic [COUNT_W-1:0] some, count_reg;
    logic first_reg, first2_reg;

    for (genvar i = 0; i < TERMS; i++) begin : gen_term
        localparam logic [M*M-1:0] DOWN = columns((ORDER - (i * PART) % ORDER) % ORDER, 1);
        logic [M-1:0] term_reg;
        always_ff @(posedge clk_i) if (en_i) term_reg <= located ? locator[M*i+:M] : linear(DOWN, term_reg);
    end

    for (genvar g = 0; g < PART; g++) begin : gen_position
        for (genvar i = 0; i < TERMS; i++) begin : gen_value
            localparam logic [M*M-1:0] DOWN = columns((ORDER - (i * g) % ORDER) % ORDER, 1);
            wire [M-1:0] value;
            if (i == 0) begin : gen_one
                assign value = gen_term[0].term_reg;
            end else begin : gen_more
                assign value = gen_value[i-1].value ^ linear(DOWN, gen_term[i].term_reg);
            end
        end
        assign root[g] = gen_value[T].value == '0 && counts[g];
    end

    if (ROOM == CYCLIC) begin : gen_all_count
        assign counts = {PART{1'b1}};
    end else begin : gen_some_count
        logic [PART_W-1:0] part_reg;
        always_ff @(posedge clk_i) if (en_i) part_reg <= located ? '0 : part_reg + 1'b1;
        assign counts = (part_reg < PART_W'(WHOLE)) ? {PART{1'b1}} : (part_reg == PART_W'(WHOLE)) ? ~({PART{1'b1}} << REST) : '0;
    end

    always_comb begin
        some = '0;
        for (int g = 0; g < PART; g++) some = some + COUNT_W'(root_reg[g]);
    end

    always_ff @(posedge clk_i) begin
        if (en_i) begin
            first_reg  <= located;
            first2_reg <= first_reg;
            root_reg   <= root;
            hits_reg   <= HITS'({root_reg, hits_reg} >> PART);
            count_reg  <= (first2_reg ? '0 : count_reg) + some;
        end
    end

    // --- Whether to correct: a parity that does not fit the errors found is one more.

    wire parity;
    wire [DEGREE_W-1:0] errors;
    wire [K-1:0] data;
    wire [COUNT_W-1:0] all_errors = count_reg + COUNT_W'((EXTENDED != 0) && (parity ^ count_reg[0]));
    wire good = 32'(errors) == 32'(count_reg) && 32'(all_errors) <= T;

    hwflow_delay_words #(
        .WIDTH  (1 + K),
        .STAGES (STEPS * CHUNKS + CYCLES + 2),
        .CYCLES (CYCLES)
    ) data_line (
        .clk_i   (clk_i),
        .en_i    (en_i),
        .start_i (summed),
        .data_i  ({parity_next, ring_next[CHECKS+:K]}),
        .data_o  ({parity, data})
    );

    hwflow_delay_words #(
        .WIDTH  (DEGREE_W),
        .STAGES (CYCLES + 2),
        .CYCLES (CYCLES)
    ) degree_line (
        .clk_i   (clk_i),
        .en_i    (en_i),
        .start_i (located),
        .data_i  (degree),
        .data_o  (errors)
    );

    assign data_o  = data ^ (hits_reg[K-1:0] & {K{good}});
    assign doubt_o = {K{!good}};
    assign wrong_o = !good || all_errors != '0;

endmodule

`default_nettype wire
